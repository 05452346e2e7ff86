local shells = { "sh", "bash", "ash", "dash", "zsh", "ksh" }

rule "pipe-to-shell" {
  severity = "warning",
  calls = { "curl", "wget", "http", "aria2c" },
  summary = "What was just downloaded is run",
  reason = [[
`curl … | sh` runs whatever the server answers today. Nothing of it is checked, a download that breaks off
in the middle is run up to there, and the cache keeps it, whatever the server has by then.]],
  bad = [[
FROM debian:12
RUN curl -fsSL https://example.org/install.sh | sh]],
  good = [[
FROM debian:12
ADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d https://example.org/install.sh /tmp/
RUN sh /tmp/install.sh]],
  check = function(run)
    local commands = run.commands
    for at, command in ipairs(commands) do
      if command.op == "|" and command:is(shells) then
        local from = at - 1
        while from > 1 and commands[from].op == "|" do from = from - 1 end
        for index = from, at - 1 do
          if commands[index]:is { "curl", "wget", "http", "aria2c" } then
            report(commands[index], ("the output of %s is run by %s"):format(commands[index].name, command.name),
                   { fix = "download it with ADD --checksum, then run the file" })
          end
        end
      elseif command:is { "curl", "wget" } and command.within and commands[command.within]:is(shells) then
        report(command, ("the output of %s is run by %s"):format(command.name, commands[command.within].name),
               { fix = "download it with ADD --checksum, then run the file" })
      end
    end
  end,
}
