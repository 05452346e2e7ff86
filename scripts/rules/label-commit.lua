local labels = core.script("check/labels")

rule "label-commit" {
  severity = "warning",
  aliases = "DL3055",
  on = "LABEL",
  summary = "A label that should be a commit is none",
  reason = [[
Tools look it up. Which label is of which kind, check { labels = { ["LABEL"] = "hash" } } says.]],
  bad = [[
# check { labels = { ["org.opencontainers.image.x"] = "hash" } } asks for it
FROM debian:12
LABEL org.opencontainers.image.x="?!"]],
  good = [[
FROM debian:12]],
  check = function(label, options)
    for key, value in labels.of_kind(label, options, "hash") do
      if not labels.is_hash(value) then
        report(label, ("label %s is no git commit: '%s'"):format(key, value),
               { fix = "write the commit's 40 or first 7 characters" })
      end
    end
  end,
}
