rule "duplicate-stage-name" {
  severity = "error",
  aliases = { "DuplicateStageName", "DL3024" },
  on = "file",
  summary = "Two stages have one name",
  reason = [[
COPY --from and --target find the last stage of a name; the one before can no longer be reached by it.]],
  bad = [[
FROM debian:12 AS build
RUN true
FROM debian:12 AS build
RUN true]],
  good = [[
FROM debian:12 AS build
RUN true
FROM debian:12 AS run
RUN true]],
  check = function(file)
    local seen = {}
    for _, stage in ipairs(file.stages) do
      local before = stage.name ~= "" and seen[stage.name]
      if before then
        report(stage.from or stage, ("there is a stage '%s' already, in line %d"):format(stage.name, before),
               { fix = "give it another name" })
      end
      seen[stage.name] = stage.line
    end
  end,
}
