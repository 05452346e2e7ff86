rule "unused-stage" {
  severity = "warning",
  on = "file",
  summary = "A stage is built for nothing",
  reason = [[
Nothing is built on it, nothing copied from it: it is a mistake, or left over.]],
  bad = [[
FROM debian:12 AS old
RUN true
FROM debian:12
RUN true]],
  good = [[
FROM debian:12 AS build
RUN true
FROM debian:12
COPY --from=build /a /a]],
  check = function(file)
    local used = {}
    local function use(name)
      if type(name) ~= "string" then return end
      for _, stage in ipairs(file.stages) do
        if stage.name == name:lower() or tostring(stage.index - 1) == name then used[stage] = true end
      end
    end
    for _, stage in ipairs(file.stages) do
      if stage.parent then used[stage.parent] = true end
      if stage.final then used[stage] = true end
    end
    for instruction in file:each("COPY", "ADD", "RUN") do
      use(instruction:flag "from")
      for _, mount in ipairs(instruction:mounts()) do use(mount.from) end
    end
    for _, target in ipairs(core.targets_of(file.path)) do use(target.stage) end
    for _, stage in ipairs(file.stages) do
      if not used[stage] then
        report(stage.from or stage, stage.name ~= "" and ("the stage '%s' is used by nothing"):format(stage.name)
               or "this stage is used by nothing", { fix = "take it out, or name it in a target" })
      end
    end
  end,
}
