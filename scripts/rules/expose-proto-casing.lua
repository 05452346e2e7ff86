rule "expose-proto-casing" {
  severity = "warning",
  aliases = "ExposeProtoCasing",
  on = "EXPOSE",
  summary = "The protocol of EXPOSE has upper-case letters",
  reason = [[
`tcp`, `udp` and `sctp` are written in lower case.]],
  bad = [[
FROM debian:12
EXPOSE 80/TCP]],
  good = [[
FROM debian:12
EXPOSE 80/tcp]],
  check = function(expose)
    for _, word in ipairs(expose.args) do
      local protocol = word:match("/(%a+)$")
      if protocol and protocol ~= protocol:lower() then
        report(expose, ("the protocol of %s is not in lower case"):format(word), { fix = "write " .. word:lower() })
      end
    end
  end,
}
