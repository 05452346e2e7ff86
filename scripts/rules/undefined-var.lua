local variables = core.script("check/variables")

rule "undefined-var" {
  severity = "warning",
  aliases = "UndefinedVar",
  summary = "A variable is used that nothing sets",
  reason = [[
A variable without a value is nothing: `COPY $SRC/ /app` copies the whole root of the context.]],
  bad = [[
FROM debian:12
COPY $SOURCE /app]],
  good = [[
FROM debian:12
ARG SOURCE=src
COPY $SOURCE /app]],
  check = function(stage)
    local known = variables.of_parents(stage)
    for instruction in stage:each() do
      for _, name in ipairs(variables.in_instruction(instruction)) do
        if not known[name] and not known["*"] then
          report(instruction, ("$%s is used, and nothing sets it"):format(name),
                 { fix = ("declare it: ARG %s"):format(name) })
          known[name] = true
        end
      end
      variables.declare(instruction, known)
    end
  end,
}
