rule "expose-range" {
  severity = "error",
  aliases = "DL3011",
  on = "EXPOSE",
  summary = "EXPOSE names a port that cannot be",
  reason = [[
Ports go from 0 to 65535.]],
  bad = [[
FROM debian:12
EXPOSE 80000]],
  good = [[
FROM debian:12
EXPOSE 8000]],
  check = function(expose)
    for _, word in ipairs(expose.args) do
      for number in word:gsub("/.*$", ""):gmatch("%d+") do
        if tonumber(number) > 65535 then
          report(expose, ("%s is no port"):format(number), { fix = "ports go up to 65535" })
        end
      end
    end
  end,
}
