local packages = core.script("check/packages")

rule "apt-yes" {
  severity = "warning",
  aliases = "DL3014",
  calls = "apt-get",
  summary = "apt-get asks, and nobody answers",
  reason = [[
Without `-y` apt-get waits for an answer that never comes, and fails.]],
  bad = [[
FROM debian:12
RUN apt-get install python3=3.11]],
  good = [[
FROM debian:12
RUN apt-get install -y python3=3.11]],
  check = function(run)
    for command in run:each_call("apt-get", "install") do
      if not command:flag("-y", "--yes", "--assume-yes", "-qq") and (command:option("-q") ~= "2")
          and not command:flag("-q=2")
          and not packages.twice_quiet(command) then
        report(command, "apt-get install asks, and nobody answers", { fix = "add -y" })
      end
    end
  end,
}
