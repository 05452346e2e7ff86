local packages = core.script("check/packages")

-- As pip reads a variable.
local function truthy(value)
  value = value and value:gsub("[\"']", ""):lower()
  return value ~= nil and value ~= "" and value ~= "0" and value ~= "false" and value ~= "off" and value ~= "no"
end

rule "pip-no-cache" {
  severity = "warning",
  aliases = "DL3042",
  calls = "pip",
  summary = "A layer keeps pip's cache",
  reason = [[
pip keeps what it downloads in ~/.cache/pip: nobody in the image reads it.]],
  bad = [[
FROM python:3.12
RUN pip install flask==3.0.3]],
  good = [[
FROM python:3.12
RUN pip install --no-cache-dir flask==3.0.3]],
  check = function(run)
    local at = run.stage
    while at do
      for env in at:each "ENV" do
        for _, pair in ipairs(env.pairs or {}) do
          if pair.name == "PIP_NO_CACHE_DIR" and truthy(pair.value) then return end
        end
      end
      at = at.parent
    end
    for export in run:each_call "export" do
      for _, word in ipairs(export.args) do
        if truthy(word:match("^PIP_NO_CACHE_DIR=(.*)$")) then return end
      end
    end
    if not packages.stays(run) then return end
    for command in run:each_call("pip", "install") do
      local assigned = false
      for _, word in ipairs(command.assignments or {}) do assigned = assigned
          or truthy(word:match("^PIP_NO_CACHE_DIR=(.*)$")) end
      if not assigned and not command:flag("--no-cache-dir")
          and not packages.cache_mounted(run, "/root/.cache/pip") then
        report(command, "this layer keeps pip's cache", { fix = "add --no-cache-dir" })
      end
    end
  end,
}
