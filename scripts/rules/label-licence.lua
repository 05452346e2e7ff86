local labels = core.script("check/labels")

rule "label-licence" {
  severity = "warning",
  aliases = "DL3054",
  on = "LABEL",
  summary = "A label that should be a licence is none",
  reason = [[
Tools compare it. Which label is of which kind, check { labels = { ["LABEL"] = "spdx" } } says.]],
  bad = [[
# check { labels = { ["org.opencontainers.image.x"] = "spdx" } } asks for it
FROM debian:12
LABEL org.opencontainers.image.x="?!"]],
  good = [[
FROM debian:12]],
  check = function(label, options)
    for key, value in labels.of_kind(label, options, "spdx") do
      if not labels.is_spdx(value) then
        report(label, ("label %s is no SPDX licence: '%s'"):format(key, value),
               { fix = "name one of spdx.org/licenses" })
      end
    end
  end,
}
