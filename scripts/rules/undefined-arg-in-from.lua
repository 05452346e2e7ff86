local variables = core.script("check/variables")

rule "undefined-arg-in-from" {
  severity = "warning",
  aliases = "UndefinedArgInFrom",
  on = "FROM",
  summary = "FROM uses an argument that is not declared",
  reason = [[
Only an ARG before the first FROM, or what BuildKit sets itself, is known in FROM; anything else is empty.]],
  bad = [[
FROM debian:$VERSION]],
  good = [[
ARG VERSION=12
FROM debian:$VERSION]],
  check = function(from)
    local declared = variables.global(from.file)
    for _, name in ipairs(variables.used(table.concat(from.args, " ") .. " " .. table.concat(from.flags, " "))) do
      if not declared[name] and not variables.platform[name] then
        report(from, ("FROM uses $%s, which no ARG before it declares"):format(name),
               { fix = ("put `ARG %s` before the first FROM"):format(name) })
      end
    end
  end,
}
