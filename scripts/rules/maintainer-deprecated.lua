rule "maintainer-deprecated" {
  severity = "error",
  aliases = { "MaintainerDeprecated", "DL4000" },
  on = "MAINTAINER",
  summary = "MAINTAINER is deprecated",
  reason = [[
A label says the same, and tools read it.]],
  bad = [[
FROM debian:12
MAINTAINER dev@example.org]],
  good = [[
FROM debian:12
LABEL org.opencontainers.image.authors="dev@example.org"]],
  check = function(maintainer)
    report(maintainer, "MAINTAINER is deprecated",
           { fix = ('write LABEL org.opencontainers.image.authors="%s"'):format(maintainer.args[1] or "") })
  end,
}
