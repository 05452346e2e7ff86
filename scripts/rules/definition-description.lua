rule "definition-description" {
  severity = "warning",
  aliases = "InvalidDefinitionDescription",
  on = { "FROM", "ARG" },
  off = true,
  summary = "A comment above a stage or an argument describes something else",
  reason = [[
A comment right above FROM … AS NAME or ARG NAME is shown as its description by `buildx build --call=outline`:
it begins with the name.]],
  bad = [[
# the compiler
FROM debian:12 AS build
RUN true]],
  good = [[
# build compiles the program
FROM debian:12 AS build
RUN true]],
  check = function(instruction)
    local name = instruction.keyword == "FROM" and instruction.args[3] or (instruction.args[1] or ""):match("^[^=]*")
    if not name or name == "" then return end
    for _, comment in ipairs(instruction.file.comments) do
      if comment.line == instruction.line - 1 and not comment.text:find("^#%s*[%w]+%s*=") then
        if not comment.text:lower():find("^#%s*" .. name:lower():gsub("%p", "%%%0") .. "%f[^%w_-]") then
          report(instruction, ("the comment above does not begin with '%s'"):format(name),
                 { fix = ("write `# %s DESCRIPTION`, or leave an empty line"):format(name) })
        end
      end
    end
  end,
}
