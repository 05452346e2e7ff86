rule "json-args" {
  severity = "warning",
  aliases = { "JSONArgsRecommended", "DL3025" },
  on = { "CMD", "ENTRYPOINT", "HEALTHCHECK" },
  summary = "CMD or ENTRYPOINT is run through a shell",
  reason = [[
In shell form the process is a child of `sh -c`, which hands no signal on: `docker stop` waits ten seconds and
then kills. In JSON form the program is process 1 and hears SIGTERM.]],
  bad = [[
FROM debian:12
CMD sleep 10]],
  good = [=[
FROM debian:12
CMD ["sleep", "10"]]=],
  check = function(instruction)
    if instruction.json or #instruction.args == 0 then return end
    if instruction.keyword == "HEALTHCHECK" and instruction.args[1] ~= "CMD" then return end
    for shell in instruction.stage and instruction.stage:each "SHELL" or function() end do
      if shell then return end -- whoever sets a shell wants it
    end
    local words = instruction.commands and #instruction.commands == 1 and instruction.commands[1].words or {}
    local quoted = {}
    for at, word in ipairs(words) do quoted[at] = '"' .. word:gsub('[\\"]', "\\%0") .. '"' end
    report(instruction, ("%s is in shell form: the program does not get signals"):format(instruction.keyword),
           { fix = #quoted > 0 and ("write %s [%s]"):format(instruction.keyword, table.concat(quoted, ", "))
                   or "write it as JSON: [\"PROGRAM\", \"ARGUMENT\"]" })
  end,
}
