local variables = core.script("check/variables")

rule "env-refers-to-itself" {
  severity = "error",
  aliases = "DL3044",
  on = "ENV",
  summary = "ENV uses a variable that the same ENV sets",
  reason = [[
Variables of an ENV are set when all of it is read: `ENV A=1 B=$A` takes the A of before.]],
  bad = [[
FROM debian:12
ENV A=1 B=$A/b]],
  good = [[
FROM debian:12
ENV A=1
ENV B=$A/b]],
  check = function(env)
    local known = variables.before(env, true)
    for at, pair in ipairs(env.pairs or {}) do
      for _, name in ipairs(variables.used(pair.value, true)) do
        for other, set in ipairs(env.pairs) do
          if set.name == name and other ~= at and not known[name] then
            report(env, ("%s uses $%s, which this ENV sets"):format(pair.name, name),
                   { fix = "set it in an ENV of its own" })
          end
        end
      end
    end
  end,
}
