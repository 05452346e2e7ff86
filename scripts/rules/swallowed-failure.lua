rule "swallowed-failure" {
  severity = "warning",
  calls = { "true", ":", "echo", "printf" },
  summary = "A failure is swallowed, and the build goes on",
  reason = [[
`make || true` is built and cached as if it had worked; what is missing shows up where the image runs.
Where a failure is expected, test for what is expected.]],
  bad = [[
FROM debian:12
RUN ./configure || true]],
  good = [[
FROM debian:12
RUN if [ -x ./configure ]; then ./configure; fi]],
  check = function(run)
    local harmless = { "rm", "command", "which", "type", "test", "[", "[[", "grep", "id", "getent", "pkill", "kill" }
    for at, command in ipairs(run.commands) do
      local before = run.commands[at - 1]
      local after = run.commands[at + 1]
      local ends = not after or after.op ~= "&&"
      if command.op == "||" and ends and command:is { "true", ":", "echo", "printf" } and not before:is(harmless) then
        if not (command:is { "echo", "printf" } and after and (after.op == ";" or after.op == "&&")
                and after:is { "exit", "false" }) then
          report(before, ("a failure of %s is swallowed by `|| %s`"):format(before.name, command.name),
                 { fix = "let it fail, or test before for what may be missing" })
        end
      end
    end
  end,
}
