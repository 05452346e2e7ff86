rule "pointless-command" {
  severity = "info",
  aliases = "DL3001",
  calls = { "ssh", "vim", "shutdown", "service", "ps", "free", "top", "kill", "mount", "systemctl", "ifconfig" },
  summary = "A command makes no sense while an image is built",
  reason = [[
Services, shutdown, mounts and editors are of a running machine: in a layer nothing of them stays.]],
  bad = [[
FROM debian:12
RUN service nginx start]],
  good = [=[
FROM debian:12
CMD ["nginx", "-g", "daemon off;"]]=],
  check = function(run)
    local names = { "ssh", "vim", "shutdown", "service", "ps", "free", "top", "kill", "mount", "systemctl", "ifconfig" }
    for _, command in ipairs(run.commands) do
      if command:is(names) then
        report(command, ("%s does nothing that stays in the image"):format(command.name), { fix = "take it out" })
      end
    end
  end,
}
