local variables = core.script("check/variables")

rule "invalid-default-arg-in-from" {
  severity = "warning",
  aliases = "InvalidDefaultArgInFrom",
  on = "FROM",
  summary = "The default value of an ARG makes no valid FROM",
  reason = [[
Without --build-arg the build fails: a file that builds as it is can be tried by anybody.]],
  bad = [[
ARG VERSION
FROM debian:${VERSION}]],
  good = [[
ARG VERSION=12
FROM debian:${VERSION}]],
  check = function(from)
    local word = from.args[1] or ""
    if not word:find("$", 1, true) then return end
    for _, name in ipairs(variables.used(word)) do
      if variables.platform[name] or not variables.global(from.file)[name] then return end
    end
    local text = core.expand(word, variables.global_values(from.file), from.file.escape)
    if text == "" or text == nil or text:find("[:@/]$") or text:find("^[:@/]") or text:find(":@", 1, true) then
      report(from, ("with the default values of its arguments FROM is '%s'"):format(text or ""),
             { fix = "give the ARG a default value" })
    end
  end,
}
