local packages = core.script("check/packages")

rule "zypper-clean" {
  severity = "warning",
  aliases = "DL3036",
  calls = "zypper",
  summary = "A layer keeps zypper's caches",
  reason = [[
zypper keeps the packages that it downloads and the repositories' metadata. What a later RUN deletes
stays in the layer of this one. `zypper clean` alone leaves the metadata; `-a` clears both.]],
  bad = [[
FROM opensuse/leap:15.6
RUN zypper -n install curl]],
  good = [[
FROM opensuse/leap:15.6
RUN zypper -n install curl && zypper clean -a]],
  check = function(run)
    local install = packages.last(run, "zypper", { "install", "in", "update", "up", "patch", "dist-upgrade", "dup" })
    if not install or not packages.stays(run) then return end
    local clean = packages.last(run, "zypper", { "clean", "cc" })
    if clean and clean.index > install.index then return end
    if packages.cache_mounted(run, "/var/cache/zypp")
        or packages.removes(run, "/var/cache/zypp", install) then return end
    report(install, "this layer keeps zypper's caches", { fix = "add `&& zypper clean -a` to this RUN" })
  end,
}
