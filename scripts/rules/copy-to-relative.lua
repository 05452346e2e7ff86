rule "copy-to-relative" {
  severity = "warning",
  aliases = "DL3045",
  summary = "COPY goes to a relative path, and no WORKDIR says from where",
  reason = [[
Where it lands is the base image's WORKDIR, which somebody else may change.]],
  bad = [[
FROM debian:12
COPY app.py app.py]],
  good = [[
FROM debian:12
WORKDIR /app
COPY app.py app.py]],
  check = function(stage)
    local at = stage
    while at do
      for workdir in at:each "WORKDIR" do
        if at ~= stage and workdir then return end
      end
      at = at.parent
    end
    for instruction in stage:each("WORKDIR", "COPY") do
      if instruction.keyword == "WORKDIR" then return end
      local target = (instruction.args[#instruction.args] or ""):gsub("^[\"']", "")
      if target ~= "" and not target:find("^/") and not target:find("^%$") and not target:find("^%a:[/\\]")
          and not target:find("^%%") then
        report(instruction, ("%s is relative, and no WORKDIR is set"):format(target),
               { fix = "set WORKDIR before, or begin the path with /" })
      end
    end
  end,
}
