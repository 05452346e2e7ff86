rule "zypper-dist-upgrade" {
  severity = "warning",
  aliases = "DL3035",
  calls = "zypper",
  summary = "zypper dist-upgrade makes another distribution of the base",
  reason = [[
What the base image is, its tag says. A dist-upgrade makes it another one, each day.]],
  bad = [[
FROM opensuse/leap:15.6
RUN zypper -n dup && zypper clean]],
  good = [[
FROM opensuse/leap:15.6
RUN zypper -n patch && zypper clean]],
  check = function(run)
    for command in run:each_call("zypper", { "dist-upgrade", "dup" }) do
      report(command, "zypper dist-upgrade makes another distribution of the base", { fix = "take a newer base image" })
    end
  end,
}
