rule "no-apt" {
  severity = "warning",
  aliases = "DL3027",
  calls = "apt",
  summary = "apt is for people",
  reason = [[
apt says itself that its command line is not stable. apt-get and apt-cache are.]],
  bad = [[
FROM debian:12
RUN apt install -y curl=8]],
  good = [[
FROM debian:12
RUN apt-get install -y curl=8]],
  check = function(run)
    for command in run:each_call "apt" do
      report(command, "apt has no stable command line", { fix = "write apt-get" })
    end
  end,
}
