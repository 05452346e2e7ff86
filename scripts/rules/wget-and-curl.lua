rule "wget-and-curl" {
  severity = "warning",
  aliases = "DL4001",
  summary = "Both wget and curl are used",
  reason = [[
One of them is enough, and one less to install and patch.]],
  bad = [[
FROM debian:12
RUN wget -q https://example.org/a
RUN curl -fO https://example.org/b]],
  good = [[
FROM debian:12
RUN curl -fO https://example.org/a && curl -fO https://example.org/b]],
  check = function(stage)
    local first
    for run in stage:each "RUN" do
      for _, command in ipairs(run.commands) do
        if command:is { "wget", "curl" } then
          first = first or command
          if command.name ~= first.name then
            report(command, ("%s here, %s in line %d"):format(command.name, first.name, first.line),
                   { fix = "use one of them" })
            return
          end
        end
      end
    end
  end,
}
