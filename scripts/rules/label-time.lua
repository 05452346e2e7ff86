local labels = core.script("check/labels")

rule "label-time" {
  severity = "warning",
  aliases = "DL3053",
  on = "LABEL",
  summary = "A label that should be a time is none",
  reason = [[
Tools sort by it. Which label is of which kind, check { labels = { ["LABEL"] = "rfc3339" } } says.]],
  bad = [[
# check { labels = { ["org.opencontainers.image.x"] = "rfc3339" } } asks for it
FROM debian:12
LABEL org.opencontainers.image.x="?!"]],
  good = [[
FROM debian:12]],
  check = function(label, options)
    for key, value in labels.of_kind(label, options, "rfc3339") do
      if not labels.is_rfc3339(value) then
        report(label, ("label %s is no time: '%s'"):format(key, value), { fix = "write 2026-12-01T10:00:00Z" })
      end
    end
  end,
}
