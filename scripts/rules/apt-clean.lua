local packages = core.script("check/packages")

rule "apt-clean" {
  severity = "info",
  aliases = "DL3009",
  calls = { "apt-get", "apt", "aptitude" },
  summary = "A layer keeps apt's package lists",
  reason = [[
`apt-get update` writes the repositories' package lists, some 20 to 50 MB. What a later RUN deletes stays
in the layer of this one.]],
  bad = [[
FROM debian:12
RUN apt-get update && apt-get install -y --no-install-recommends curl]],
  good = [[
FROM debian:12
RUN apt-get update && apt-get install -y --no-install-recommends curl && rm -rf /var/lib/apt/lists/*]],
  check = function(run)
    local update = packages.last(run, { "apt-get", "apt", "aptitude" }, "update")
    if not update or not packages.stays(run) or packages.removes(run, "/var/lib/apt/lists", update) then return end
    if packages.cache_mounted(run, "/var/lib/apt") and packages.cache_mounted(run, "/var/cache/apt") then return end
    report(update, "this layer keeps apt's package lists", { fix = "end this RUN with `rm -rf /var/lib/apt/lists/*`" })
  end,
}
