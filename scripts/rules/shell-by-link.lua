rule "shell-by-link" {
  severity = "warning",
  aliases = "DL4005",
  calls = "ln",
  summary = "The shell is changed by a link",
  reason = [[
SHELL says which shell runs the instructions below, and leaves the system as it is.]],
  bad = [[
FROM debian:12
RUN ln -sf /bin/bash /bin/sh]],
  good = [=[
FROM debian:12
SHELL ["/bin/bash", "-c"]]=],
  check = function(run)
    for command in run:each_call "ln" do
      for _, arg in ipairs(command.args) do
        if arg == "/bin/sh" then
          return report(command, "/bin/sh is replaced by a link", { fix = 'write SHELL ["/bin/bash", "-c"]' })
        end
      end
    end
  end,
}
