local packages = core.script("check/packages")

rule "gem-pin" {
  severity = "warning",
  aliases = "DL3028",
  calls = "gem",
  summary = "gem installs whatever version there is",
  reason = [[
The next build may get another version, and nobody has said so.]],
  bad = [[
FROM ruby:3.3
RUN gem install bundler]],
  good = [[
FROM ruby:3.3
RUN gem install bundler:2.5.11]],
  check = function(run)
    for command, names in packages.installs(run, "gem") do
      if not command:option("-v", "--version") then
        for _, name in ipairs(names) do
          if not name:find("[:]") and not name:find("%.gem$") and not name:find("^%$") then
            report(command, ("%s has no version"):format(name), { fix = ("name one: %s:VERSION"):format(name) })
          end
        end
      end
    end
  end,
}
