local packages = core.script("check/packages")

rule "yum-pin" {
  severity = "warning",
  aliases = "DL3033",
  calls = "yum",
  summary = "yum installs whatever version there is",
  reason = [[
The next build may get another version, and nobody has said so. Where the distribution's release is frozen, this rule
can be switched off for it: check { disable = { "yum-pin" } }.]],
  bad = [[
FROM centos:7
RUN yum install -y httpd && yum clean all]],
  good = [[
FROM centos:7
RUN yum install -y httpd-2.24.2 && yum clean all]],
  check = function(run)
    for command, names in packages.installs(run, "yum") do
      for _, name in ipairs(names) do
        if not (name:find("%-%d") or name:find(":", 1, true) or name:find("%.rpm$") or name:find("^%$")
            or name:find("^@")) then
          report(command, ("%s has no version"):format(name), { fix = ("name one: %s-VERSION"):format(name) })
        end
      end
    end
  end,
}
