rule "numeric-user" {
  severity = "info",
  aliases = "DL3066",
  on = "USER",
  summary = "USER is a name, not a number",
  reason = [[
Kubernetes' runAsNonRoot cannot see of a name whether it is root, and refuses the image.]],
  bad = [[
FROM debian:12
USER dev]],
  good = [[
FROM debian:12
USER 1000]],
  check = function(user)
    local name = (user.args[1] or ""):match("^[^:]*")
    if name == "" or name:find("^%d+$") or name:find("%$") or name == "root" then return end
    report(user, ("USER %s is a name"):format(name), { fix = "write its number" })
  end,
}
