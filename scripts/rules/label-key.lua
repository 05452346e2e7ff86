rule "label-key" {
  severity = "style",
  aliases = "DL3048",
  on = "LABEL",
  summary = "A label's key is not as keys are",
  reason = [[
Keys have lower-case letters, digits, `.` and `-`, begin with a letter and end with a letter or digit; com.docker.*, io.docker.* and
org.dockerproject.* are Docker's own.]],
  bad = [[
FROM debian:12
LABEL My__Key=value]],
  good = [[
FROM debian:12
LABEL my.key=value]],
  check = function(label)
    for _, pair in ipairs(label.pairs or {}) do
      local key = pair.name:gsub("[\"']", "")
      local fine = key:find("^%l[%l%d.-]*$") and key:find("[%l%d]$") and not key:find("%.%.") and not key:find("%-%-")
      local reserved = key:find("^com%.docker%.") or key:find("^io%.docker%.") or key:find("^org%.dockerproject%.")
      if (not fine or reserved) and not key:find("%$") then
        report(label, ("'%s' is %s"):format(key, reserved and "Docker's own" or "not as label keys are"),
               { fix = "use lower-case letters, digits, dots and hyphens" })
      end
    end
  end,
}
