local packages = core.script("check/packages")

local programs = { "dnf", "microdnf", "tdnf" }
local verbs = { "install", "in", "groupinstall", "localinstall", "reinstall", "rei", "update", "upgrade", "up",
    "upgrade-minimal", "up-min", "module" }
local folders = { "/var/cache/dnf", "/var/cache/yum", "/var/cache/libdnf5" }

rule "dnf-clean" {
  severity = "warning",
  aliases = "DL3040",
  calls = { "dnf", "microdnf", "tdnf" },
  summary = "A layer keeps dnf's caches",
  reason = [[
What a later RUN deletes stays in the layer of this one.]],
  bad = [[
FROM fedora:40
RUN dnf install -y httpd-2.4]],
  good = [[
FROM fedora:40
RUN dnf install -y httpd-2.4 && dnf clean all]],
  check = function(run)
    local install = packages.last(run, programs, verbs)
    if not install or not packages.stays(run) then return end
    for clean in run:each_call(programs, "clean") do
      if clean.args[clean.subcommand_at + 1] == "all" and clean.name == install.name
          and clean.index > install.index then return end
    end
    for _, folder in ipairs(folders) do
      if packages.cache_mounted(run, folder) or packages.removes(run, folder, install) then return end
    end
    report(install, "this layer keeps dnf's caches",
           { fix = ("add `&& %s clean all` to this RUN"):format(install.name) })
  end,
}
