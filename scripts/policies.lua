-- Policies that ship, each switched on by one line of strake.lua or of the organisation's files:
--
--   policies.immutable_tags()

local policies = {}

-- v1.2.3, 1.2.3, v1.2.3-rc.1, 1.2.3+build, 1.2.3_1: three numbers name one release for good. `v1` and `1.2`
-- are made to follow the newest release, and move.
function policies.is_version(tag)
  return tag:find("^v?%d+%.%d+%.%d+$") ~= nil or tag:find("^v?%d+%.%d+%.%d+[-+._]") ~= nil
end

local function is_one_of(tag, patterns)
  for _, pattern in ipairs(patterns) do
    if tag:find("^" .. pattern .. "$") then return true end
  end
  return false
end

-- One list of Lua patterns, each of which has to fit a whole tag.
local function patterns_of(options)
  for key in next, options do
    if key ~= "match" then
      core.fail("config", "policies.immutable_tags has no option '" .. tostring(key) .. "'; there is `match`")
    end
  end
  local match = rawget(options, "match")
  if type(match) == "string" then match = { match } end
  if match ~= nil and type(match) ~= "table" then
    core.fail("config", "policies.immutable_tags: `match` is a pattern or a list of patterns, got a " .. type(match))
  end
  local list = {}
  for position = 1, match and rawlen(match) or 0 do
    local pattern = rawget(match, position)
    if type(pattern) ~= "string" or not pcall(string.find, "", pattern) then
      core.fail("config", ("policies.immutable_tags: entry %d of `match` is no Lua pattern"):format(position))
    end
    list[position] = pattern
  end
  return match and list
end

-- immutable_tags { match = "v%d+%.%d+" }: what once has an image keeps it. By default tags like v1.2.3.
function policies.immutable_tags(options)
  if options ~= nil and type(options) ~= "table" then
    core.fail("config", "policies.immutable_tags takes a table of options, got a " .. type(options))
  end
  local patterns = patterns_of(options or {})
  local function check(image)
    for _, move in ipairs(image.moves or {}) do
      local fixed = patterns and is_one_of(move.tag, patterns) or not patterns and policies.is_version(move.tag)
      if fixed and move.from and move.from ~= move.to then
        deny(("the tag %s is at %s and never moves"):format(move.ref, move.from:sub(1, 19)),
             { fix = "give the image a new version" })
      end
    end
  end
  policy "immutable tags" { at = "publish", check = check }
  policy "immutable tags, retag" { at = "retag", check = check }
end

return policies
