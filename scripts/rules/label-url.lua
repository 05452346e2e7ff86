local labels = core.script("check/labels")

rule "label-url" {
  severity = "warning",
  aliases = "DL3052",
  on = "LABEL",
  summary = "A label that should be a URL is none",
  reason = [[
Tools make links of it. Which label is of which kind, check { labels = { ["LABEL"] = "url" } } says.]],
  bad = [[
# check { labels = { ["org.opencontainers.image.x"] = "url" } } asks for it
FROM debian:12
LABEL org.opencontainers.image.x="?!"]],
  good = [[
FROM debian:12]],
  check = function(label, options)
    for key, value in labels.of_kind(label, options, "url") do
      if not labels.is_url(value) then
        report(label, ("label %s is no URL: '%s'"):format(key, value), { fix = "begin it with https://" })
      end
    end
  end,
}
