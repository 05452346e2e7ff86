rule "label-empty" {
  severity = "warning",
  aliases = "DL3051",
  on = "LABEL",
  summary = "A label is empty",
  reason = [[
An empty label tells nothing.]],
  bad = [[
FROM debian:12
LABEL org.opencontainers.image.title=""]],
  good = [[
FROM debian:12
LABEL org.opencontainers.image.title="a shell"]],
  check = function(label, options)
    for _, pair in ipairs(label.pairs or {}) do
      local key = pair.name:gsub("[\"']", "")
      local asked = (options.labels or {})[key] or key:find("^org%.opencontainers%.image%.")
          or key:find("^org%.label%-schema%.")
      if asked and (pair.value == "" or pair.value == '""' or pair.value == "''") then
        report(label, ("label %s is empty"):format(pair.name), { fix = "give it a value, or take it out" })
      end
    end
  end,
}
