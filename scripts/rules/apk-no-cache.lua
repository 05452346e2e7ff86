local packages = core.script("check/packages")

rule "apk-no-cache" {
  severity = "info",
  aliases = "DL3019",
  calls = "apk",
  summary = "A layer keeps apk's index",
  reason = [[
`apk add --no-cache` fetches the index, uses it, and leaves nothing behind.]],
  bad = [[
FROM alpine:3.20
RUN apk add curl=8.9.1-r1]],
  good = [[
FROM alpine:3.20
RUN apk add --no-cache curl=8.9.1-r1]],
  check = function(run)
    for command in run:each_call("apk", "add") do
      if not command:flag("--no-cache") and not packages.cache_mounted(run, "/var/cache/apk")
          and not packages.removes(run, "/var/cache/apk") then
        report(command, "this layer keeps apk's index", { fix = "add --no-cache" })
      end
    end
  end,
}
