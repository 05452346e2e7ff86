rule "workdir-relative" {
  severity = "error",
  aliases = { "WorkdirRelativePath", "DL3000" },
  on = "WORKDIR",
  summary = "WORKDIR is a relative path",
  reason = [[
A relative WORKDIR hangs on the one before, and that on the base image's, which somebody else may change.]],
  bad = [[
FROM debian:12
WORKDIR app]],
  good = [[
FROM debian:12
WORKDIR /app]],
  check = function(workdir)
    local path = workdir.args[1] or ""
    path = path:gsub("^[\"']", "")
    if path == "" or path:find("^/") or path:find("^%$") or path:find("^%a:") or path:find("^%%") then return end
    report(workdir, ("WORKDIR %s is a relative path"):format(path), { fix = "begin it with /" })
  end,
}
