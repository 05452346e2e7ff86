local labels = core.script("check/labels")

rule "label-email" {
  severity = "warning",
  aliases = "DL3058",
  on = "LABEL",
  summary = "A label that should be an address is none",
  reason = [[
Somebody may want to write there. Which label is of which kind, check { labels = { ["LABEL"] = "email" } } says.]],
  bad = [[
# check { labels = { ["org.opencontainers.image.x"] = "email" } } asks for it
FROM debian:12
LABEL org.opencontainers.image.x="?!"]],
  good = [[
FROM debian:12]],
  check = function(label, options)
    for key, value in labels.of_kind(label, options, "email") do
      if not labels.is_email(value) then
        report(label, ("label %s is no e-mail address: '%s'"):format(key, value), { fix = "write name@example.org" })
      end
    end
  end,
}
