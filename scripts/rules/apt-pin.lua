local packages = core.script("check/packages")

rule "apt-pin" {
  severity = "warning",
  aliases = "DL3008",
  calls = { "apt-get", "apt" },
  summary = "apt-get installs whatever version there is",
  reason = [[
The next build may get another version, and nobody has said so. Where the distribution's release is frozen, this rule
can be switched off for it: check { disable = { "apt-pin" } }.]],
  bad = [[
FROM debian:12
RUN apt-get install -y python3]],
  good = [[
FROM debian:12
RUN apt-get install -y python3=3.11.2-1]],
  check = function(run)
    for command, names in packages.installs(run, { "apt-get", "apt" }) do
      for _, name in ipairs(names) do
        if not (name:find("[=/]") or name:find("%.deb$") or name:find("^%$")) then
          report(command, ("%s has no version"):format(name), { fix = ("name one: %s=VERSION"):format(name) })
        end
      end
    end
  end,
}
