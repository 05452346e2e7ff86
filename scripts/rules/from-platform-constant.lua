rule "from-platform-constant" {
  severity = "warning",
  aliases = { "FromPlatformFlagConstDisallowed", "DL3029" },
  on = "FROM",
  summary = "FROM is bound to one platform",
  reason = [[
With a constant platform the image holds programs of that platform whatever is built for: where it is pulled for
another one, it is emulated, or does not start.]],
  bad = [[
FROM --platform=linux/amd64 debian:12]],
  good = [[
FROM --platform=$BUILDPLATFORM debian:12 AS build]],
  check = function(from)
    local platform = from:flag "platform"
    if type(platform) ~= "string" or platform:find("$", 1, true) then return end
    local name = from.stage and from.stage.name or ""
    if name ~= "" and name:find(platform:match("[^/]*$"), 1, true) then return end -- a stage for that platform
    report(from, ("the base is bound to %s"):format(platform), { fix = "leave --platform out, or use $BUILDPLATFORM" })
  end,
}
