local packages = core.script("check/packages")

rule "dnf-pin" {
  severity = "warning",
  aliases = "DL3041",
  calls = { "dnf", "microdnf", "tdnf" },
  summary = "dnf installs whatever version there is",
  reason = [[
The next build may get another version, and nobody has said so. Where the distribution's release is frozen, this rule
can be switched off for it: check { disable = { "dnf-pin" } }.]],
  bad = [[
FROM fedora:40
RUN dnf install -y curl && dnf clean all]],
  good = [[
FROM fedora:40
RUN dnf install -y curl-8.6.0 && dnf clean all]],
  check = function(run)
    for command, names in packages.installs(run, { "dnf", "microdnf", "tdnf" }) do
      for _, name in ipairs(names) do
        if not (name:find("%-%d") or name:find(":", 1, true) or name:find("%.rpm$") or name:find("^%$")
            or name:find("^@")) then
          report(command, ("%s has no version"):format(name), { fix = ("name one: %s-VERSION"):format(name) })
        end
      end
    end
  end,
}
