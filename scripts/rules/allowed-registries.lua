rule "allowed-registries" {
  severity = "error",
  aliases = "DL3026",
  summary = "A base image comes from a registry that is not allowed",
  reason = [[
check { registries = { "ghcr.io" } } names where base images may come from. Without it, this rule says nothing.]],
  bad = [[
# check { registries = { "registry.example.org" } } refuses this one
FROM elsewhere.example.org/debian:12]],
  good = [[
FROM debian:12]],
  check = function(stage, options)
    local allowed = options.registries
    if not allowed or stage.parent then return end
    local image = stage.image or stage.base
    if image == "scratch" or image == "" then return end
    local host = image:match("^([^/]+)/")
    if not host or not (host:find("[.:]") or host == "localhost") then host = "docker.io" end
    for _, pattern in ipairs(allowed) do
      local lua = "^" .. tostring(pattern):gsub("[%^%$%(%)%%%.%[%]%+%-%?]", "%%%0"):gsub("%*", ".*") .. "$"
      if host:find(lua) or (image .. "/"):find("^" .. lua:sub(2, -2) .. "/") then return end
    end
    report(stage.from or stage, ("%s comes from %s, which is not allowed"):format(image, host),
           { fix = "take it from " .. table.concat(allowed, ", ") })
  end,
}
