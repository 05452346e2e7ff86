local packages = core.script("check/packages")

rule "yarn-clean" {
  severity = "info",
  aliases = "DL3060",
  calls = "yarn",
  summary = "A layer keeps yarn's cache",
  reason = [[
yarn keeps what it downloads: nobody in the image reads it.]],
  bad = [[
FROM node:22
RUN yarn install]],
  good = [[
FROM node:22
RUN yarn install && yarn cache clean]],
  check = function(run)
    local install = packages.last(run, "yarn", { "install", "add" })
    if not install or not packages.stays(run) then return end
    for cache in run:each_call("yarn", "cache") do
      if cache.args[cache.subcommand_at + 1] == "clean" and cache.index > install.index then return end
    end
    if packages.cache_mounted(run, "/usr/local/share/.cache/yarn") or packages.cache_mounted(run, "/root/.yarn")
        or packages.cache_mounted(run, "/root/.cache/yarn") then return end
    report(install, "this layer keeps yarn's cache", { fix = "add `&& yarn cache clean` to this RUN" })
  end,
}
