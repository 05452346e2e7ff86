local packages = core.script("check/packages")

rule "zypper-pin" {
  severity = "warning",
  aliases = "DL3037",
  calls = "zypper",
  summary = "zypper installs whatever version there is",
  reason = [[
The next build may get another version, and nobody has said so. Where the distribution's release is frozen, this rule
can be switched off for it: check { disable = { "zypper-pin" } }.]],
  bad = [[
FROM opensuse/leap:15.6
RUN zypper -n install curl && zypper clean -a]],
  good = [[
FROM opensuse/leap:15.6
RUN zypper -n install curl=8.0.1 && zypper clean -a]],
  check = function(run)
    for command, names in packages.installs(run, "zypper") do
      for _, name in ipairs(names) do
        if not (name:find("[=<>]") or name:find("%.rpm$") or name:find("^%$")) then
          report(command, ("%s has no version"):format(name), { fix = ("name one: %s=VERSION"):format(name) })
        end
      end
    end
  end,
}
