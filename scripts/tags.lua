-- Tag rules: from facts about the commit to the tags of an image.
--
--   tags.rules { { "latest", when = git.branch == "main" }, { "{tag}", when = git.tag }, "sha-{sha}" }
--
-- A rule is a text, or a table of a text and `when`. `{NAME}` stands for a fact; a rule whose fact does
-- not exist gives no tag. Copy this file to change what a rule may say.

local tags = {}

-- What stands between braces. `{sha}` is the short one, as people write it in tags.
local function fact(name)
  if name == "tag" then return git.tag end
  if name == "branch" then return git.branch end
  if name == "sha" or name == "short" or name == "short_sha" then return git.short_sha end
  if name == "full_sha" then return git.sha end
  if name == "version" then return git.tag and (git.tag:gsub("^v(%d)", "%1")) end
  if name == "date" then return git.commit_time and (git.commit_time:sub(1, 10):gsub("-", "")) end
  return nil
end

local names = "{tag}, {version}, {branch}, {sha}, {full_sha} and {date}"

-- Each run of characters that no tag may have becomes one `-`; a tag begins with neither `.` nor `-`.
local function sanitise(text)
  text = text:gsub("[^%w._-]+", "-"):gsub("^[.-]+", "")
  return text:sub(1, 128)
end

-- A mistake in the rules: told with the place in the team's file.
local function wrong(format, ...)
  core.fail("config", "tags.rules: " .. format:format(...))
end

-- The text with its facts, or nil when one of them does not exist.
local function expand(text)
  local missing = false
  local tag = text:gsub("{([^{}]*)}", function(name)
    local value = fact(name)
    if value == nil then wrong("unknown fact '{%s}' in '%s'; there are %s", name, text, names) end
    missing = missing or not value
    return value or ""
  end)
  if missing then return nil end
  return sanitise(tag)
end

-- The text of a rule, or nothing when its condition does not hold.
local function text_of(entry, position)
  if type(entry) == "string" then return entry end
  if type(entry) ~= "table" then
    wrong("rule %d must be a text or a table, got a %s", position, type(entry))
  end
  for key in next, entry do
    if key ~= 1 and key ~= "when" then
      wrong("rule %d has an unknown key '%s'; a rule is { TEXT, when = CONDITION }", position,
            tostring(key))
    end
  end
  local text, when = rawget(entry, 1), rawget(entry, "when")
  if text == false or when == false then return nil end -- a fact that does not exist
  if type(text) ~= "string" then
    wrong("rule %d has no text; a rule is { TEXT, when = CONDITION }", position)
  end
  return text
end

-- rules { … } -> the tags, in order, each once
function tags.rules(rules)
  if type(rules) ~= "table" then
    core.fail("config", "tags.rules takes a list of rules, got a " .. type(rules))
  end
  local list, seen = {}, {}
  for position = 1, rawlen(rules) do
    local text = text_of(rawget(rules, position), position)
    local tag = text and expand(text)
    if tag and tag ~= "" and not seen[tag] then
      seen[tag] = true
      list[#list + 1] = tag
    end
  end
  return list
end

return tags
