rule "add-for-files" {
  severity = "error",
  aliases = "DL3020",
  on = "ADD",
  summary = "ADD copies what COPY would",
  reason = [[
ADD unpacks archives and fetches URLs; where neither is meant, COPY says so, and does nothing else.]],
  bad = [[
FROM debian:12
ADD app.py /usr/src/app/]],
  good = [[
FROM debian:12
COPY app.py /usr/src/app/]],
  check = function(add)
    if add.flags[1] and (add:flag "checksum" or add:flag "keep-git-dir" or add:flag "unpack") then return end
    if add.heredocs then return end
    for at = 1, #add.args - 1 do
      local source = add.args[at]:gsub("[\"']", "")
      local meant = source:find("^%a[%w+.-]*://") or source:find("^git@") or source:find("%.tar$")
          or source:find("%.tar[.*]")
        or source:find("%.t[gbx]z2?$") or source:find("%.gz$") or source:find("%.bz2$") or source:find("%.xz$")
        or source:find("%.zst$") or source:find("%.Z$") or source:find("%.lzma$") or source:find("%.tlz$")
            or source:find("%.lz$")
        or source:find("%.tZ$") or source:find("%.tbz$") or source:find("%.tb2$") or source:find("%$")
      if not meant then
        return report(add, ("ADD copies %s, nothing else"):format(source), { fix = "write COPY" })
      end
    end
  end,
}
