local packages = core.script("check/packages")

rule "apk-pin" {
  severity = "warning",
  aliases = "DL3018",
  calls = "apk",
  summary = "apk installs whatever version there is",
  reason = [[
The next build may get another version, and nobody has said so. Where the distribution's release is frozen, this rule
can be switched off for it: check { disable = { "apk-pin" } }.]],
  bad = [[
FROM alpine:3.20
RUN apk add --no-cache curl]],
  good = [[
FROM alpine:3.20
RUN apk add --no-cache curl=8.9.1-r1]],
  check = function(run)
    for command, names in packages.installs(run, "apk") do
      for _, name in ipairs(names) do
        if not (name:find("[=<>~]") or name:find("%.apk$") or name:find("^%$")) then
          report(command, ("%s has no version"):format(name), { fix = ("name one: %s=VERSION"):format(name) })
        end
      end
    end
  end,
}
