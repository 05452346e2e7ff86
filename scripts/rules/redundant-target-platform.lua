rule "redundant-target-platform" {
  severity = "warning",
  aliases = { "RedundantTargetPlatform", "DL3065" },
  on = "FROM",
  summary = "FROM names the platform that is the default anyway",
  reason = [[
`--platform=$TARGETPLATFORM` is what FROM takes by itself.]],
  bad = [[
FROM --platform=$TARGETPLATFORM debian:12]],
  good = [[
FROM debian:12]],
  check = function(from)
    local platform = from:flag "platform"
    if platform == "$TARGETPLATFORM" or platform == "${TARGETPLATFORM}" then
      report(from, "--platform=$TARGETPLATFORM is the default", { fix = "leave the flag out" })
    end
  end,
}
