rule "sudo-nopasswd" {
  severity = "warning",
  on = "RUN",
  summary = "A user may become root without a password",
  reason = [[
NOPASSWD in sudoers gives to whoever gets into the container what USER took away.]],
  bad = [[
FROM debian:12
RUN echo 'dev ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/dev]],
  good = [[
FROM debian:12
RUN useradd --no-log-init dev
USER dev]],
  check = function(run)
    local function tells(text) return text:find("NOPASSWD", 1, true) end
    for _, command in ipairs(run.commands) do
      for _, word in ipairs(command.words) do
        if tells(word) then
          return report(command, "this lets a user become root without a password", { fix = "leave sudo out" })
        end
      end
    end
    for _, heredoc in ipairs(run.heredocs or {}) do
      if tells(heredoc.content) then
        return report(run, "this lets a user become root without a password", { fix = "leave sudo out" })
      end
    end
  end,
}
