rule "from-as-casing" {
  severity = "warning",
  aliases = "FromAsCasing",
  on = "FROM",
  summary = "FROM and AS are cased differently",
  reason = [[
`FROM x as y` mixes two ways of writing keywords in one line.]],
  bad = [[
FROM debian:12 as build
RUN true]],
  good = [[
FROM debian:12 AS build
RUN true]],
  check = function(from)
    local as = from.args[2]
    if not as or as:lower() ~= "as" then return end
    local upper = from.written == from.written:upper()
    if as ~= (upper and "AS" or "as") then
      report(from, ("'%s' and '%s' are cased differently"):format(as, from.written),
             { fix = ("write %s"):format(upper and "AS" or "as") })
    end
  end,
}
