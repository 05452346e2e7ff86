local packages = core.script("check/packages")

rule "npm-pin" {
  severity = "warning",
  aliases = "DL3016",
  calls = "npm",
  summary = "npm installs whatever version there is",
  reason = [[
The next build may get another version, and nobody has said so.]],
  bad = [[
FROM node:22
RUN npm install express]],
  good = [[
FROM node:22
RUN npm install express@4.19.2]],
  check = function(run)
    for command, names in packages.installs(run, "npm") do
      for _, name in ipairs(names) do
        local known = name:find(".@", 1) or name:find("^[./~]") or name:find("%.tgz$") or name:find("%.tar%.gz$")
            or name:find("%.tar$")
          or name:find("^git[+:@]") or name:find("^https?:") or name:find("^%$")
        if name:find("^git[+:]") or name:find("^git@") then known = name:find("#", 1, true) end
        if not known then
          report(command, ("%s has no version"):format(name), { fix = ("name one: %s@VERSION"):format(name) })
        end
      end
    end
  end,
}
