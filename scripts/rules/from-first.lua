rule "from-first" {
  severity = "error",
  aliases = "DL3061",
  on = "file",
  summary = "Something stands before the first FROM",
  reason = [[
Only ARG, comments and directives may stand before the first FROM.]],
  bad = [[
RUN true
FROM debian:12]],
  good = [[
ARG V=12
FROM debian:$V]],
  check = function(file)
    for _, instruction in ipairs(file.instructions) do
      if instruction.stage_index >= 0 then return end
      if instruction.keyword ~= "ARG" and #file.stages > 0 then
        return report(instruction, ("%s stands before the first FROM"):format(instruction.keyword),
                      { fix = "begin with FROM" })
      end
    end
  end,
}
