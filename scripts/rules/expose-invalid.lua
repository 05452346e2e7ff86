rule "expose-invalid" {
  severity = "warning",
  aliases = "ExposeInvalidFormat",
  on = "EXPOSE",
  summary = "EXPOSE names more than a port",
  reason = [[
EXPOSE takes PORT[/PROTOCOL]. Where a port is published to, and on which address, is told when the container runs.]],
  bad = [[
FROM debian:12
EXPOSE 127.0.0.1:80:80]],
  good = [[
FROM debian:12
EXPOSE 80]],
  check = function(expose)
    for _, word in ipairs(expose.args) do
      if not word:find("$", 1, true) and word:find(":", 1, true) then
        report(expose, ("%s is no PORT[/PROTOCOL]"):format(word), { fix = "name the container's port alone" })
      end
    end
  end,
}
