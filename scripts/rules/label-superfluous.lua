rule "label-superfluous" {
  severity = "info",
  aliases = "DL3050",
  on = "LABEL",
  summary = "A label is there that nobody asked for",
  reason = [[
With check { labels = …, strict_labels = true } only those labels may be there.]],
  bad = [[
# check { labels = {}, strict_labels = true } refuses it
FROM debian:12
LABEL other=x]],
  good = [[
FROM debian:12]],
  check = function(label, options)
    if not options.strict_labels then return end
    for _, pair in ipairs(label.pairs or {}) do
      local key = pair.name:gsub("[\"']", "")
      if not (options.labels or {})[key] then
        report(label, ("label %s is not one of those that are asked for"):format(key), { fix = "take it out" })
      end
    end
  end,
}
