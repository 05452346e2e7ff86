local packages = core.script("check/packages")

local programs = "yum"
local verbs = { "install", "groupinstall", "localinstall", "reinstall", "update", "upgrade", "module" }
local folders = { "/var/cache/yum" }

rule "yum-clean" {
  severity = "warning",
  aliases = "DL3032",
  calls = "yum",
  summary = "A layer keeps yum's caches",
  reason = [[
What a later RUN deletes stays in the layer of this one.]],
  bad = [[
FROM centos:7
RUN yum install -y httpd-2.4]],
  good = [[
FROM centos:7
RUN yum install -y httpd-2.4 && yum clean all]],
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
    report(install, "this layer keeps yum's caches",
           { fix = ("add `&& %s clean all` to this RUN"):format(install.name) })
  end,
}
