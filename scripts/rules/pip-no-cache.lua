local packages = core.script("check/packages")

rule "pip-no-cache" {
  severity = "warning",
  aliases = "DL3042",
  on = "RUN",
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
    for env in run.stage and run.stage:each "ENV" or function() end do
      for _, pair in ipairs(env.pairs or {}) do
        local value = pair.value:gsub("[\"']", ""):lower()
        if pair.name == "PIP_NO_CACHE_DIR" and value ~= "0" and value ~= "false" and value ~= "off" and value ~= "no" then return end
      end
    end
    for command in run:each_call("pip", "install") do
      local assigned = false
      for _, word in ipairs(command.assignments or {}) do assigned = assigned or word:find("^PIP_NO_CACHE_DIR=[^0fFnN]") end
      if not assigned and not command:flag("--no-cache-dir") and not packages.cache_mounted(run, "/root/.cache/pip") then
        report(command, "this layer keeps pip's cache", { fix = "add --no-cache-dir" })
      end
    end
  end,
}
