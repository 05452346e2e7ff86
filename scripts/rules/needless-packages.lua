local packages = core.script("check/packages")

local needless = packages.set [[
vim nano emacs man-db man man-pages manpages telnet ftp rsh openssh-server cups xauth apt-utils]]

rule "needless-packages" {
  severity = "info",
  calls = { "apt-get", "apt", "apk", "zypper", "dnf", "microdnf", "yum" },
  summary = "A package is of no use in an image",
  reason = [[
Editors, manuals and remote shells are of a machine that somebody sits at. Where one is wanted, say so:
`# strake ignore=needless-packages REASON`.]],
  bad = [[
FROM debian:12
RUN apt-get update && apt-get install -y vim man-db && rm -rf /var/lib/apt/lists/*]],
  good = [[
FROM debian:12
RUN apt-get update && apt-get install -y ca-certificates && rm -rf /var/lib/apt/lists/*]],
  check = function(run)
    if not packages.stays(run) then return end
    for command, names in packages.installs(run) do
      for _, name in ipairs(names) do
        local plain = name:match("^[^=~<>]*")
        if needless[plain] then
          report(command, ("%s is of no use in an image"):format(plain), { fix = "leave it out" })
        end
      end
    end
  end,
}
