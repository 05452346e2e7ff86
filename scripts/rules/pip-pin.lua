local packages = core.script("check/packages")

rule "pip-pin" {
  severity = "warning",
  aliases = "DL3013",
  calls = { "pip", "pipx" },
  summary = "pip installs whatever version there is",
  reason = [[
The next build may get another version, and nobody has said so.]],
  bad = [[
FROM python:3.12
RUN pip install --no-cache-dir flask]],
  good = [[
FROM python:3.12
RUN pip install --no-cache-dir flask==3.0.3]],
  check = function(run)
    for command, names in packages.installs(run, { "pip", "pipx" }) do
      if not command:option("-r", "--requirement", "-c", "--constraint") and not command:flag("--require-hashes") then
        for _, name in ipairs(names) do
          local url = name:match("^%a[%w+.-]*:(.*)$")
          local known = name:find("[=~<>!]=") or name:find("[<>]") or name:find("%.whl$") or name:find("%.tar%.gz$")
            or name:find("%.zip$") or name:find("^%$") or name == "."
          if url then -- of a repository the revision stands behind an @
            known = known or name:find("^https?:") or url:gsub("^//[^/]*@", "//"):find("@")
          else
            known = known or name:find("[@/]")
          end
          if not known then
            report(command, ("%s has no version"):format(name), { fix = ("name one: %s==VERSION"):format(name) })
          end
        end
      end
    end
  end,
}
