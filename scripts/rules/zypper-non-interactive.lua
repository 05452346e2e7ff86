rule "zypper-non-interactive" {
  severity = "warning",
  aliases = "DL3034",
  calls = "zypper",
  summary = "zypper asks, and nobody answers",
  reason = [[
Without `-n` (or `-y` behind the subcommand) zypper waits for an answer that never comes, and fails.]],
  bad = [[
FROM opensuse/leap:15.6
RUN zypper install httpd=2.4 && zypper clean]],
  good = [[
FROM opensuse/leap:15.6
RUN zypper -n install httpd=2.4 && zypper clean]],
  check = function(run)
    for command in run:each_call("zypper", { "install", "in", "remove", "rm", "source-install", "si", "patch",
        "update", "up" }) do
      if not command:flag("-n", "--non-interactive", "-y", "--no-confirm") then
        report(command, ("zypper %s asks, and nobody answers"):format(command.subcommand), { fix = "write zypper -n" })
      end
    end
  end,
}
