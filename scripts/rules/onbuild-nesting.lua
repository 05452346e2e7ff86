rule "onbuild-nesting" {
  severity = "error",
  aliases = "DL3043",
  on = "ONBUILD",
  summary = "ONBUILD holds what it cannot",
  reason = [[
ONBUILD, FROM and MAINTAINER cannot be triggers.]],
  bad = [[
FROM debian:12
ONBUILD MAINTAINER dev@example.org]],
  good = [[
FROM debian:12
ONBUILD RUN true]],
  check = function(onbuild)
    local inner = onbuild.onbuild
    if inner and (inner.keyword == "ONBUILD" or inner.keyword == "FROM" or inner.keyword == "MAINTAINER") then
      report(onbuild, ("%s cannot be a trigger"):format(inner.keyword), { fix = "take it out" })
    end
  end,
}
