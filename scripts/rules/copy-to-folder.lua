rule "copy-to-folder" {
  severity = "error",
  aliases = "DL3021",
  on = "COPY",
  summary = "Several files are copied to what is no folder",
  reason = [[
With several sources the last word is a folder, and ends with `/`; BuildKit refuses anything else.]],
  bad = [[
FROM debian:12
COPY package.json yarn.lock /app]],
  good = [[
FROM debian:12
COPY package.json yarn.lock /app/]],
  check = function(copy)
    local last = (copy.args[#copy.args] or ""):gsub("[\"']", "")
    if #copy.args > 2 and not last:find("/$") and not last:find("\\$") and last ~= "." and not last:find("%$") then
      report(copy, ("several files are copied to %s"):format(last), { fix = ("write %s/"):format(last) })
    end
  end,
}
