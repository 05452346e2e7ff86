rule "copy-from-itself" {
  severity = "error",
  aliases = "DL3023",
  on = "COPY",
  summary = "COPY --from names its own stage",
  reason = [[
A stage cannot copy from itself.]],
  bad = [[
FROM debian:12 AS build
COPY --from=build /a /b]],
  good = [[
FROM debian:12 AS build
RUN true
FROM debian:12
COPY --from=build /a /b]],
  check = function(copy)
    local from = copy:flag "from"
    if type(from) == "string" and copy.stage and copy.stage.name ~= "" and copy.stage.name == from:lower() then
      report(copy, ("the stage '%s' copies from itself"):format(from),
             { fix = "copy with RUN cp, or from another stage" })
    end
  end,
}
