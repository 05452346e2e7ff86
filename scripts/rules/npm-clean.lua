local packages = core.script("check/packages")

rule "npm-clean" {
  severity = "info",
  calls = "npm",
  summary = "A layer keeps npm's cache",
  reason = [[
npm keeps what it downloads in ~/.npm: nobody in the image reads it.]],
  bad = [[
FROM node:22
RUN npm ci]],
  good = [[
FROM node:22
RUN npm ci && npm cache clean --force]],
  check = function(run)
    local install = packages.last(run, "npm", { "install", "i", "ci", "add" })
    if not install or not packages.stays(run) or packages.cache_mounted(run, "/root/.npm")
        or packages.removes(run, "/root/.npm") then return end
    for cache in run:each_call("npm", "cache") do
      if cache.args[cache.subcommand_at + 1] == "clean" and cache.index > install.index then return end
    end
    report(install, "this layer keeps npm's cache",
           { fix = "add `&& npm cache clean --force`, or a cache mount on /root/.npm" })
  end,
}
