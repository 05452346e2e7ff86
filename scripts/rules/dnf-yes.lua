rule "dnf-yes" {
  severity = "warning",
  aliases = "DL3038",
  calls = { "dnf", "microdnf", "tdnf" },
  summary = "dnf asks, and nobody answers",
  reason = [[
Without `-y` dnf waits for an answer that never comes, and fails.]],
  bad = [[
FROM fedora:40
RUN dnf install httpd-2.4]],
  good = [[
FROM fedora:40
RUN dnf install -y httpd-2.4 && dnf clean all]],
  check = function(run)
    for command in run:each_call({ "dnf", "microdnf", "tdnf" }, { "install", "in", "groupinstall", "localinstall" }) do
      if not command:flag("-y", "--assumeyes") then
        report(command, ("%s %s asks, and nobody answers"):format(command.name, command.subcommand), { fix = "add -y" })
      end
    end
  end,
}
