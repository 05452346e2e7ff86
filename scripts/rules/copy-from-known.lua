rule "copy-from-known" {
  severity = "warning",
  aliases = "DL3022",
  on = "COPY",
  summary = "COPY --from names no stage before it",
  reason = [[
What is no stage is an image, pulled without a version that anybody sees. Where that is meant, name it with a tag.]],
  bad = [[
FROM debian:12
COPY --from=builder /app /app]],
  good = [[
FROM debian:12 AS builder
RUN true
FROM debian:12
COPY --from=builder /app /app]],
  check = function(copy)
    local from = copy:flag "from"
    if type(from) ~= "string" or from:find("[$:/@]") then return end
    local number = tonumber(from)
    for _, stage in ipairs(copy.file.stages) do
      if stage.index > (copy.stage and copy.stage.index or 1) then break end
      if stage.name == from:lower() or (number and stage.index - 1 == number and stage ~= copy.stage) then return end
    end
    report(copy, ("there is no stage '%s' before"):format(from),
           { fix = "name a stage, or an image with its tag" })
  end,
}
