rule "yum-yes" {
  severity = "warning",
  aliases = "DL3030",
  calls = "yum",
  summary = "yum asks, and nobody answers",
  reason = [[
Without `-y` yum waits for an answer that never comes, and fails.]],
  bad = [[
FROM centos:7
RUN yum install httpd-2.4]],
  good = [[
FROM centos:7
RUN yum install -y httpd-2.4 && yum clean all]],
  check = function(run)
    for command in run:each_call("yum", { "install", "groupinstall", "localinstall", "reinstall" }) do
      if not command:flag("-y", "--assumeyes") then
        report(command, ("%s %s asks, and nobody answers"):format(command.name, command.subcommand), { fix = "add -y" })
      end
    end
  end,
}
