local labels = core.script("check/labels")

rule "label-missing" {
  severity = "info",
  aliases = "DL3049",
  summary = "A label that is asked for is missing",
  reason = [[
check { labels = { ["org.opencontainers.image.source"] = "url" } } asks for labels in the last stage.]],
  bad = [[
# check { labels = { ["org.opencontainers.image.source"] = "url" } } asks for it
FROM debian:12]],
  good = [[
FROM debian:12]],
  check = function(stage, options)
    if not stage.final then return end
    local known = {}
    local at = stage
    while at do
      for label in at:each "LABEL" do
        for _, pair in ipairs(label.pairs or {}) do known[(pair.name:gsub("[\"']", ""))] = true end
      end
      at = at.parent
    end
    for _, key in ipairs(labels.wanted(options)) do
      if not known[key] then report(stage.from or stage, ("label %s is missing"):format(key),
          { fix = ("add LABEL %s=…"):format(key) }) end
    end
  end,
}
