local packages = core.script("check/packages")

rule "dnf-clean" {
  severity = "warning",
  aliases = "DL3040",
  on = "RUN",
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
    local install = run:calls({ "dnf", "microdnf", "tdnf" }, { "install", "groupinstall", "localinstall" })
    if not install or packages.cache_mounted(run, "/var/cache/dnf") or packages.removes(run, "/var/cache/dnf") then return end
    for clean in run:each_call({ "dnf", "microdnf", "tdnf" }, "clean") do
      if clean.args[clean.subcommand_at + 1] == "all" then return end
    end
    report(install, "this layer keeps dnf's caches", { fix = ("add `&& %s clean all` to this RUN"):format(install.name) })
  end,
}
