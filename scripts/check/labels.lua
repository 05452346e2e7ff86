-- Labels that check { labels = { KEY = KIND } } asks for, and what a value of each kind looks like.

local labels = {}

-- What the OCI image specification says of its own keys (annotations.md, pre-defined keys).
local known = {
  ["org.opencontainers.image.created"] = "rfc3339", ["org.opencontainers.image.url"] = "url",
  ["org.opencontainers.image.source"] = "url", ["org.opencontainers.image.documentation"] = "url",
  ["org.opencontainers.image.licenses"] = "spdx",
}

-- The kind of a key's value: as check { labels = … } says it, else as it is known; or nil.
function labels.kind(key, options)
  return (options.labels or {})[key] or known[key]
end

-- The keys that are asked for, in order.
function labels.wanted(options)
  local keys = {}
  for key in pairs(options.labels or {}) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local function unquote(text)
  return (text:gsub("^(['\"])(.*)%1$", "%2"))
end

-- for key, value in labels.of_kind(label, options, "url") do … end
function labels.of_kind(label, options, kind)
  local at = 0
  local list = label.pairs or {}
  return function()
    while at < #list do
      at = at + 1
      local key, value = unquote(list[at].name), unquote(list[at].value)
      if labels.kind(key, options) == kind and not value:find("$", 1, true) then return key, value end
    end
    return nil
  end
end

function labels.is_url(value)
  return value:find("^%a[%w+.-]*://[^%s/]+") ~= nil
end

function labels.is_rfc3339(value)
  return value:find("^%d%d%d%d%-[01]%d%-[0-3]%d[Tt ][0-2]%d:[0-5]%d:[0-6]%d%.?%d*[Zz]$") ~= nil
      or value:find("^%d%d%d%d%-[01]%d%-[0-3]%d[Tt ][0-2]%d:[0-5]%d:[0-6]%d%.?%d*[+-][0-2]%d:[0-5]%d$") ~= nil
end

-- The shape of an SPDX expression; not that each of its licences is on the list.
function labels.is_spdx(value)
  if value == "" then return false end
  for word in value:gmatch("[^%s()]+") do
    if not word:find("^[%w][%w.+-]*$") or (word:find("^%l+$") and word ~= "curl") then return false end
  end
  return true
end

function labels.is_hash(value)
  return value:find("^%x+$") ~= nil and (#value == 40 or #value == 64 or #value == 7)
end

function labels.is_semver(value)
  local core_part, rest = value:match("^(%d+%.%d+%.%d+)(.*)$")
  if not core_part then return false end
  for number in core_part:gmatch("%d+") do
    if #number > 1 and number:sub(1, 1) == "0" then return false end
  end
  rest = rest:gsub("^%-[%w.-]+", "", 1):gsub("^%+[%w.-]+", "", 1)
  return rest == ""
end

function labels.is_email(value)
  return value:find("^[^%s@<>]+@[%w.-]+%.?%w+$") ~= nil
end

return labels
