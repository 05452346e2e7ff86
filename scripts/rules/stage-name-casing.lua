rule "stage-name-casing" {
  severity = "warning",
  aliases = "StageNameCasing",
  on = "FROM",
  summary = "A stage name has upper-case letters",
  reason = [[
BuildKit looks for stages by their lower-case name, and shows it so: written in one way it is found again.]],
  bad = [[
FROM debian:12 AS Build
RUN true]],
  good = [[
FROM debian:12 AS build
RUN true]],
  check = function(from)
    local name = from.args[3]
    if name and (from.args[2] or ""):lower() == "as" and name ~= name:lower() then
      report(from, ("the stage name '%s' has upper-case letters"):format(name), { fix = "write " .. name:lower() })
    end
  end,
}
