rule "cd-in-run" {
  severity = "warning",
  aliases = "DL3003",
  calls = "cd",
  summary = "RUN changes the folder",
  reason = [[
`cd` holds for its own RUN alone, and is easily lost among others. WORKDIR holds from there on, and is there to see.]],
  bad = [[
FROM debian:12
RUN cd /usr/src/app]],
  good = [[
FROM debian:12
WORKDIR /usr/src/app]],
  check = function(run)
    if #run.commands == 0 then return end
    local command = run.commands[1]
    if command:is "cd" and (#run.commands == 1 or (command.args[1] or ""):find("^/")) then
      report(command, ("RUN changes to %s"):format(command.args[1] or "another folder"),
             { fix = ("write WORKDIR %s"):format(command.args[1] or "FOLDER") })
    end
  end,
}
