rule "label-empty" {
  severity = "warning",
  aliases = "DL3051",
  on = "LABEL",
  summary = "A label is empty",
  reason = [[
An empty label tells nothing.]],
  bad = [[
FROM debian:12
LABEL description=""]],
  good = [[
FROM debian:12
LABEL description="a shell"]],
  check = function(label)
    for _, pair in ipairs(label.pairs or {}) do
      if pair.value == "" or pair.value == '""' or pair.value == "''" then
        report(label, ("label %s is empty"):format(pair.name), { fix = "give it a value, or take it out" })
      end
    end
  end,
}
