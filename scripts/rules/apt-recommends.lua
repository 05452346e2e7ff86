rule "apt-recommends" {
  severity = "info",
  aliases = "DL3015",
  calls = { "apt-get", "apt" },
  summary = "apt-get installs what is only recommended",
  reason = [[
Recommended packages are what a desktop may like; in an image they are megabytes and more to patch.]],
  bad = [[
FROM debian:12
RUN apt-get install -y python3=3.11]],
  good = [[
FROM debian:12
RUN apt-get install -y --no-install-recommends python3=3.11]],
  check = function(run)
    for command in run:each_call({ "apt-get", "apt" }, "install") do
      local text = table.concat(command.args, " ")
      if not text:find("--no-install-recommends", 1, true)
          and not text:find("Install%-Recommends[\"']?=[\"']?[f0]") then
        report(command, "what is only recommended is installed, too", { fix = "add --no-install-recommends" })
      end
    end
  end,
}
