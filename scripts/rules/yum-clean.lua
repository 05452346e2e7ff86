local packages = core.script("check/packages")

rule "yum-clean" {
  severity = "warning",
  aliases = "DL3032",
  on = "RUN",
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
    local install = run:calls("yum", { "install", "groupinstall", "localinstall", "reinstall" })
    if not install or packages.cache_mounted(run, "/var/cache/yum") or packages.removes(run, "/var/cache/yum") then return end
    for clean in run:each_call("yum", "clean") do
      if clean.args[clean.subcommand_at + 1] == "all" then return end
    end
    report(install, "this layer keeps yum's caches", { fix = ("add `&& %s clean all` to this RUN"):format(install.name) })
  end,
}
