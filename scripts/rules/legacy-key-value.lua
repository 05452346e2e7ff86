rule "legacy-key-value" {
  severity = "warning",
  aliases = "LegacyKeyValueFormat",
  on = { "ENV", "LABEL" },
  summary = "ENV or LABEL is written without =",
  reason = [[
`ENV name value` takes all of the line for one value, and is on its way out.]],
  bad = [[
FROM debian:12
ENV HOME /root]],
  good = [[
FROM debian:12
ENV HOME=/root]],
  check = function(instruction)
    for _, pair in ipairs(instruction.pairs or {}) do
      if pair.legacy then
        local value = pair.value:find("[%s\"']") and '"' .. pair.value:gsub('"', '\\"') .. '"' or pair.value
        report(instruction, ("%s %s has no ="):format(instruction.keyword, pair.name),
               { fix = ("write %s %s=%s"):format(instruction.keyword, pair.name, value) })
      end
    end
  end,
}
