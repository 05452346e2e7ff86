local labels = core.script("check/labels")

rule "label-version" {
  severity = "warning",
  aliases = "DL3056",
  on = "LABEL",
  summary = "A label that should be a version is none",
  reason = [[
Tools compare it. Which label is of which kind, check { labels = { ["LABEL"] = "semver" } } says.]],
  bad = [[
# check { labels = { ["org.opencontainers.image.x"] = "semver" } } asks for it
FROM debian:12
LABEL org.opencontainers.image.x="?!"]],
  good = [[
FROM debian:12]],
  check = function(label, options)
    for key, value in labels.of_kind(label, options, "semver") do
      if not labels.is_semver(value) then
        report(label, ("label %s is no semantic version: '%s'"):format(key, value), { fix = "write 1.2.3" })
      end
    end
  end,
}
