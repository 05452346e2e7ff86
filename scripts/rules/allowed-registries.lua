rule "allowed-registries" {
  severity = "error",
  aliases = "DL3026",
  on = "file",
  summary = "An image comes from a registry that is not allowed",
  reason = [[
check { registries = { "ghcr.io", "*.example.org" } } names where images may come from: of FROM, COPY --from and RUN
--mount. Without it, this rule says nothing.]],
  bad = [[
# check { registries = { "registry.example.org" } } refuses this one
FROM elsewhere.example.org/debian:12]],
  good = [[
# check { registries = { "*.example.org" } } takes this one
FROM registry.example.org/debian:12]],
  check = function(file, options)
    local allowed = options.registries
    if not allowed then return end
    local function is_stage(name)
      for _, stage in ipairs(file.stages) do
        if stage.name == name:lower() or tostring(stage.index - 1) == name then return true end
      end
      return false
    end
    local function look(node, image)
      if not image or image == "scratch" or image == "" or image:find("^%$") or is_stage(image) then return end
      local host = image:match("^([^/]+)/")
      if not host or not (host:find("[.:]") or host == "localhost") then host = "docker.io" end
      for _, pattern in ipairs(allowed) do
        local lua = tostring(pattern):gsub("[%^%$%(%)%%%.%[%]%+%-%?]", "%%%0"):gsub("%*", ".*")
        if host:find("^" .. lua .. "$") or (host .. "/" .. image):find("^" .. lua .. "/")
            or image:find("^" .. lua .. "/") then return end
        if host == "docker.io" and (pattern == "docker.io" or pattern == "index.docker.io"
            or pattern == "hub.docker.com") then return end
      end
      report(node, ("%s comes from %s, which is not allowed"):format(image, host),
             { fix = "take it from " .. table.concat(allowed, ", ") })
    end
    for _, stage in ipairs(file.stages) do
      if not stage.parent then look(stage.from or stage, stage.image or stage.base) end
    end
    for instruction in file:each("COPY", "ADD", "RUN") do
      local from = instruction:flag "from"
      look(instruction, type(from) == "string" and from or nil)
      for _, mount in ipairs(instruction:mounts()) do look(instruction, mount.from) end
    end
  end,
}
