rule "pipefail" {
  severity = "warning",
  aliases = "DL4006",
  summary = "A pipe hides the failure of what is before it",
  reason = [[
Of `curl … | tar x` only tar's result counts: a download that fails goes unseen. With pipefail
the first failure does.]],
  bad = [[
FROM debian:12
RUN curl -f https://example.org/a | tar x]],
  good = [[
FROM debian:12
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN curl -f https://example.org/a | tar x]],
  check = function(stage)
    local safe = false
    local at = stage.parent
    local function look(shell)
      local text = table.concat(shell.args, " ")
      local plain = text:find("^/?%l*/?sh ") -- knows no such option
    safe = (text:find("pipefail", 1, true) ~= nil and not plain) or text:find("pwsh", 1, true) ~= nil
        or text:find("powershell", 1, true) ~= nil
        or text:find("cmd", 1, true) ~= nil
    end
    while at do
      for shell in at:each "SHELL" do look(shell) end
      at = at.parent
    end
    for instruction in stage:each("SHELL", "RUN") do
      if instruction.keyword == "SHELL" then
        look(instruction)
      elseif not safe and not instruction.json then
        for index, command in ipairs(instruction.commands) do
          if command:is "set" and table.concat(command.args, " "):find("pipefail", 1, true) then break end
          if command.op == "|" and instruction.commands[index - 1] then
            report(command, "a failure before this pipe is not seen",
                   { fix = 'put SHELL ["/bin/bash", "-o", "pipefail", "-c"] before' })
            break
          end
        end
      end
    end
  end,
}
