rule "sudo" {
  severity = "error",
  aliases = "DL3004",
  on = "RUN",
  summary = "RUN calls sudo",
  reason = [[
RUN is root until a USER says otherwise. sudo needs a configuration, changes the environment, and does not hand
signals on.]],
  bad = [[
FROM debian:12
RUN sudo apt-get update]],
  good = [[
FROM debian:12
USER root
RUN true
USER dev]],
  check = function(run)
    for _, command in ipairs(run.commands) do
      local first = (command.words[1] or ""):match("[^/]*$")
      if first == "sudo" then report(command, "RUN calls sudo", { fix = "switch with USER root, and back" }) end
    end
  end,
}
