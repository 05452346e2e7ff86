-- Tag rules: from facts about the commit to the tags of an image.
--
--   tags.rules { { "latest", when = git.branch == "main" }, { "{tag}", when = git.tag }, "sha-{sha}" }
--   tags.default()          -- what a target without `tags` gets
--   tags.session "dev"      -- dev-20261201-113000
--
-- A rule is a text, or a table of a text and `when`. `{NAME}` stands for a fact; a rule whose fact does
-- not exist gives no tag. Copy this file to change what a rule may say. tags.metadata is tags/metadata.lua's.

local tags = {}

-- ---- facts --------------------------------------------------------------------------------------

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

-- ---- rules --------------------------------------------------------------------------------------

-- Each run of characters that no tag may have becomes one `-`; a tag begins with neither `.` nor `-`.
local function sanitise(text)
  text = text:gsub("[^%w._-]+", "-"):gsub("^[.-]+", "")
  return text:sub(1, 128)
end

-- A mistake in the rules: told with the place in the team's file.
local function wrong(format, ...)
  core.fail("config", "tags.rules: " .. format:format(...))
end

-- The text with its facts, or nothing and the fact that does not exist.
local function expand(text)
  local missing
  local tag = text:gsub("{([^{}]*)}", function(name)
    local value = fact(name)
    if value == nil then wrong("unknown fact '{%s}' in '%s'; there are %s", name, text, names) end
    if not value then missing = missing or name end
    return value or ""
  end)
  if missing then return nil, missing end
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

-- ---- why ----------------------------------------------------------------------------------------

-- What a rule says of itself: its text, as far as there is one.
local function told(entry)
  local text = type(entry) == "table" and rawget(entry, 1) or entry
  return type(text) == "string" and text or "(a fact that does not exist)"
end

-- The facts that a text stands on: "{tag} is v1.2.3".
local function facts_in(text)
  local list = {}
  for name in text:gmatch("{([^{}]*)}") do
    list[#list + 1] = ("{%s} is %s"):format(name, fact(name))
  end
  return #list > 0 and table.concat(list, ", ") or nil
end

-- results[i]: what became of rule i, a tag or { why }
local function explain(rules, results)
  local list = {}
  for position, result in ipairs(results) do
    local entry = rawget(rules, position)
    local text = told(entry)
    if type(result) == "table" then
      list[position] = { rule = text, why = result[1] }
    else
      local conditional = type(entry) == "table" and rawget(entry, "when") ~= nil
      list[position] = { rule = text, tag = result, why = facts_in(text) or conditional and "its `when` holds" or nil }
    end
  end
  return list
end

local no_when, twice, nothing = { "its `when` does not hold" }, { "given before" }, { "nothing of it can be in a tag" }

-- rules { … } -> the tags, in order, each once
function tags.rules(rules)
  if type(rules) ~= "table" then
    core.fail("config", "tags.rules takes a list of rules, got a " .. type(rules))
  end
  local list, seen, results = {}, {}, {}
  for position = 1, rawlen(rules) do
    local text = text_of(rawget(rules, position), position)
    local tag, missing
    if text then tag, missing = expand(text) end
    if not text then
      results[position] = no_when
    elseif missing then
      results[position] = { ("there is no {%s}"):format(missing) }
    elseif tag == "" or seen[tag] then
      results[position] = tag == "" and nothing or twice
    else
      seen[tag] = true
      list[#list + 1] = tag
      results[position] = tag
    end
  end
  core.tags_keep(list, { explain = function() return explain(rules, results) end })
  return list
end

-- ---- what ships -----------------------------------------------------------------------------------

-- The tags of a target that has a repository and says nothing of tags. `latest` follows the main branch, as
-- the remote calls it, or else main or master.
function tags.default()
  local main = git.main_branch
  return tags.rules {
    { "{tag}", when = git.tag },
    { "{branch}", when = git.branch ~= main },
    "sha-{sha}",
    { "latest", when = git.branch and git.branch == main },
  }
end

-- session(NAME) -> the one tag NAME-YYYYMMDD-HHMMSS, in UTC: for a build of someone's own, which takes no
-- other's tag. The same at each call of a command.
function tags.session(name)
  local text = type(name) == "string" and sanitise(name) or ""
  if text == "" then
    core.fail("config", "tags.session takes a name: tags.session \"dev\"")
  end
  local now = core.script("tags/moment").format(core.script("tags/facts").now(), "YYYYMMDD-HHmmss", "UTC")
  local list = { sanitise(text .. "-" .. now) }
  core.tags_keep(list, { explain = function()
    return { { rule = ("tags.session %q"):format(name), tag = list[1], why = "the time when the command began" } }
  end })
  return list
end

return tags
