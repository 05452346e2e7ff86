-- Versions as tags say them: semver (https://semver.org) and PEP 440.

local versions = {}

local safe_max = 9007199254740991 -- larger numbers are none to the action either

local function trim(text)
  return (text:gsub("^%s+", ""):gsub("%s+$", ""))
end

-- ---- semver -----------------------------------------------------------------------------------------

local function number(text)
  if #text > 1 and text:sub(1, 1) == "0" or #text > 16 then return nil end
  local value = math.tointeger(tonumber(text))
  return value and value <= safe_max and value or nil
end

-- "alpha.1" -> its parts; nothing where one is empty, or a number that begins with 0
local function identifiers(text, numbers)
  local list = {}
  for part in (text .. "."):gmatch("([^.]*)%.") do
    if part == "" or part:find("[^%w-]") then return nil end
    if numbers and part:find("^%d+$") and #part > 1 and part:sub(1, 1) == "0" then return nil end
    list[#list + 1] = part
  end
  return list
end

-- semver(text) -> { raw, version, major, minor, patch, prerelease, build }, or nothing for what is none
function versions.semver(text)
  if #text > 256 then return nil end
  local major, minor, patch, rest = trim(text):match("^v?(%d+)%.(%d+)%.(%d+)(.*)$")
  if not major then return nil end
  local before, build = rest:match("^([^+]*)%+(.*)$")
  local prerelease = before or rest
  major, minor, patch = number(major), number(minor), number(patch)
  if not (major and minor and patch) then return nil end
  if prerelease ~= "" and prerelease:sub(1, 1) ~= "-" then return nil end
  local pre = prerelease == "" and {} or identifiers(prerelease:sub(2), true)
  local built = not build and {} or identifiers(build, false)
  if not pre or not built then return nil end
  local version = ("%d.%d.%d"):format(major, minor, patch)
  if #pre > 0 then version = version .. "-" .. table.concat(pre, ".") end
  return {
    raw = text, version = version, major = major, minor = minor, patch = patch,
    prerelease = table.concat(pre, ","), build = table.concat(built, ","), is_prerelease = #pre > 0,
  }
end

-- ---- PEP 440 ----------------------------------------------------------------------------------------

local pre_names = { { "alpha", "a" }, { "a", "a" }, { "beta", "b" }, { "b", "b" }, { "preview", "rc" },
                    { "pre", "rc" }, { "c", "rc" }, { "rc", "rc" } }
local post_names = { { "post", "post" }, { "rev", "post" }, { "r", "post" } }

-- [-_.]? NAME [-_.]? [0-9]*: @return the name as it is written in a normal form, the number, the rest
local function part(text, names)
  local from = text:match("^[-_.]?()")
  for _, name in ipairs(names) do
    if text:sub(from, from + #name[1] - 1) == name[1] then
      local after = text:sub(from + #name[1])
      local digits, rest = after:match("^[-_.]?(%d+)(.*)$")
      if not digits then digits, rest = "0", after:match("^[-_.]?(.*)$") end
      return name[2], digits, rest
    end
  end
  return nil, nil, text
end

local function plain(digits)
  return (digits:gsub("^0+(%d)", "%1"))
end

-- A separator behind a name without a number belongs to what follows, so what was read with it may be wrong.
local function parts_of(text, result)
  local name, digits, rest = part(text, pre_names)
  if name then
    result.pre = name .. plain(digits)
    text = rest
  end
  local implicit, after = text:match("^%-(%d+)(.*)$")
  if implicit then
    result.post = plain(implicit)
    text = after
  else
    name, digits, rest = part(text, post_names)
    if name then
      result.post = plain(digits)
      text = rest
    end
  end
  name, digits, rest = part(text, { { "dev", "dev" } })
  if name then
    result.dev = plain(digits)
    text = rest
  end
  return text
end

-- pep440(text) -> { raw, version, major, minor, patch, is_final }, or nothing for what is none
function versions.pep440(text)
  local lower = text:lower():gsub("^v", "")
  local epoch, rest = lower:match("^(%d+)!(.*)$")
  local release, behind = (rest or lower):match("^(%d[%d.]*)(.*)$")
  if not release then return nil end
  if release:sub(-1) == "." then release, behind = release:sub(1, -2), "." .. behind end
  local numbers = {}
  for digits in (release .. "."):gmatch("([^.]*)%.") do
    if digits == "" then return nil end
    numbers[#numbers + 1] = plain(digits)
  end
  local result = { raw = text, major = numbers[1], minor = numbers[2] or "0", patch = numbers[3] or "0" }
  local left = parts_of(behind, result)
  local own = left:match("^%+(%w[%w._-]*)$")
  if left ~= "" and (not own or own:find("[-_.]$") or own:find("[-_.][-_.]")) then return nil end
  local version = table.concat(numbers, ".")
  if epoch and plain(epoch) ~= "0" then version = plain(epoch) .. "!" .. version end
  version = version .. (result.pre or "")
  if result.post then version = version .. ".post" .. result.post end
  if result.dev then version = version .. ".dev" .. result.dev end
  if own then -- the parts of a local version are joined by commas there, and so become `-` in a tag
    version = version .. "+" .. own:gsub("[-_.]", ","):gsub("%f[%w](%d+)%f[^%w]", plain)
  end
  result.version = version
  result.is_final = not (result.pre or result.post or result.dev)
  return result
end

return versions
