-- The lines of docker/metadata-action, read: tags, flavor, and what they may say. Values stay as they are
-- written; what their expressions come to is metadata.lua's.

local lines = {}

local priorities = { schedule = 1000, semver = 900, pep440 = 900, match = 800, edge = 700, ref = 600, raw = 200,
                     sha = 100 }
local types = "schedule, semver, pep440, match, edge, ref, raw and sha"
local attributes = { type = true, event = true, branch = true, pattern = true, value = true, group = true,
                     match = true, enable = true, priority = true, prefix = true, suffix = true, format = true }

-- What a call without `tags` gets.
local defaults = { "type=schedule", "type=ref,event=branch", "type=ref,event=tag", "type=ref,event=pr" }

local function trim(text)
  return (text:gsub("^%s+", ""):gsub("%s+$", ""))
end

-- A mistake in line `position` of `key`, told with the place in the team's file.
local function wrong(key, position, line, format, ...)
  core.fail("config", ("tags.metadata: %s line %d '%s': %s"):format(key, position, line, format:format(...)))
end
lines.wrong = wrong

-- ---- lists of lines -----------------------------------------------------------------------------------

-- A list, or one text of many lines as a workflow has it: blank lines and those with `#` first are none.
function lines.list(key, value)
  if value == nil or value == false then return {} end
  if type(value) == "string" then value = { value } end
  if type(value) ~= "table" then
    core.fail("config", ("tags.metadata: %s must be a list of lines, got a %s"):format(key, type(value)))
  end
  local list = {}
  for position = 1, rawlen(value) do
    local entry = rawget(value, position)
    if entry ~= false and type(entry) ~= "string" then -- false: a fact that does not exist
      core.fail("config", ("tags.metadata: %s must be a list of lines, line %d is a %s"):format(key, position,
                                                                                             type(entry)))
    end
    for line in (entry or ""):gmatch("[^\r\n]+") do
      line = trim(line)
      if line ~= "" and line:sub(1, 1) ~= "#" then list[#list + 1] = line end
    end
  end
  for name in next, value do
    if math.type(name) ~= "integer" or name < 1 or name > rawlen(value) then
      core.fail("config", ("tags.metadata: %s must be a list of lines, and has the name '%s'"):format(key,
                                                                                                tostring(name)),
                "a line is a text: { \"KEY=VALUE\" }")
    end
  end
  return list
end

-- ---- fields -------------------------------------------------------------------------------------------

-- A line of comma-separated values; a field in quotes may have commas and, doubled, quotes.
local function fields_of(key, position, line)
  local fields, at = {}, 1
  repeat
    local value, after
    if line:sub(at, at) == '"' then
      local parts, from = {}, at + 1
      while true do
        local stop = line:find('"', from, true)
        if not stop then wrong(key, position, line, "a quoted field does not end") end
        parts[#parts + 1] = line:sub(from, stop - 1)
        from = stop + 1
        if line:sub(from, from) ~= '"' then break end
        parts[#parts + 1] = '"'
        from = from + 1
      end
      value, after = table.concat(parts), from
      if after <= #line and line:sub(after, after) ~= "," then
        wrong(key, position, line, "after a quoted field stands '%s' and no comma", line:sub(after, after))
      end
    else
      value, after = line:match("^([^,]*)()", at)
      if value:find('"', 1, true) then
        wrong(key, position, line, "a quote within a field; quote the whole of it: \"%s\"", value:gsub('"', '""'))
      end
    end
    fields[#fields + 1] = value
    at = after + 1
  until line:sub(after, after) ~= ","
  return fields
end

-- JavaScript's Number(text), or nothing for what is none.
function lines.number(text)
  text = trim(text)
  if text == "" then return 0 end
  local sign, rest = text:match("^([+-]?)(.*)$")
  if rest == "Infinity" then return sign == "-" and -math.huge or math.huge end
  local base = ({ x = 16, o = 8, b = 2 })[text:match("^0([xobXOB])") and text:sub(2, 2):lower()]
  if base then return text:find("^%w+$", 3) and tonumber(text:sub(3), base) or nil end
  if not (rest:find("^%d+%.?%d*$") or rest:find("^%.%d+$") or rest:find("^%d+%.?%d*[eE][+-]?%d+$")
          or rest:find("^%.%d+[eE][+-]?%d+$")) then
    return nil
  end
  return tonumber(sign == "-" and "-" .. rest or rest) + 0.0
end

-- ---- tags -----------------------------------------------------------------------------------------------

local check = {}

function check.schedule(attrs)
  attrs.pattern = attrs.pattern or "nightly"
end

local function need(tag, name, what)
  if not tag.attrs[name] then
    wrong("tags", tag.position, tag.line, "type=%s needs %s", tag.type, what)
  end
end

function check.semver(attrs, tag)
  need(tag, "pattern", "a pattern, such as pattern={{version}}")
  attrs.value = attrs.value or ""
  attrs.match = attrs.match or ""
end

check.pep440 = check.semver

function check.match(attrs, tag)
  need(tag, "pattern", "a pattern, such as pattern=v(.*),group=1")
  attrs.group = attrs.group or "0"
  attrs.value = attrs.value or ""
  if not lines.number(attrs.group) then
    wrong("tags", tag.position, tag.line, "the group '%s' is no number", attrs.group)
  end
end

function check.edge(attrs)
  attrs.branch = attrs.branch or ""
end

function check.ref(attrs, tag)
  need(tag, "event", "event=branch, event=tag or event=pr")
  if attrs.event ~= "branch" and attrs.event ~= "tag" and attrs.event ~= "pr" then
    wrong("tags", tag.position, tag.line, "unknown event '%s'; there are branch, tag and pr", attrs.event)
  end
  if attrs.event == "pr" then attrs.prefix = attrs.prefix or "pr-" end
end

function check.raw(_, tag)
  need(tag, "value", "a value, such as value=nightly")
end

function check.sha(attrs, tag)
  attrs.prefix = attrs.prefix or "sha-"
  attrs.format = attrs.format or "short"
  if attrs.format ~= "short" and attrs.format ~= "long" then
    wrong("tags", tag.position, tag.line, "unknown format '%s'; there are short and long", attrs.format)
  end
end

local known = {} -- line -> what it says: the same few lines serve a thousand targets

local function read_tag(position, line)
  if known[line] then
    local tag = known[line]
    return { position = position, line = line, type = tag.type, attrs = tag.attrs, priority = tag.priority }
  end
  local tag = { position = position, line = line, attrs = {} }
  local attrs = tag.attrs
  for _, field in ipairs(fields_of("tags", position, line)) do
    local key, value = field:match("^([^=]+)=(.*)$")
    if not key then
      attrs.value = trim(field)
    else
      key, value = trim(key):lower(), trim(value)
      if key == "type" then
        if not priorities[value] then
          wrong("tags", position, line, "unknown type '%s'; there are %s", value, types)
        end
        tag.type = value
      elseif attributes[key] then
        attrs[key] = value
      else -- the action passes over it in silence
        log.warn(("tags.metadata: tags line %d '%s': there is no attribute '%s', it means nothing"):format(position,
                                                                                                 line, key))
      end
    end
  end
  tag.type = tag.type or "raw"
  check[tag.type](attrs, tag)
  attrs.enable = attrs.enable or "true"
  tag.priority = attrs.priority and lines.number(attrs.priority) or priorities[tag.type]
  if attrs.priority and not lines.number(attrs.priority) then
    wrong("tags", position, line, "the priority '%s' is no number", attrs.priority)
  end
  known[line] = tag
  return tag
end

-- tags(value) -> the lines as { position, line, type, attrs, priority }, the highest priority first
function lines.tags(value)
  local list = lines.list("tags", value)
  if #list == 0 then list = defaults end
  local tags = {}
  for position, line in ipairs(list) do tags[position] = read_tag(position, line) end
  table.sort(tags, function(a, b)
    if a.priority ~= b.priority then return a.priority > b.priority end
    return a.position < b.position
  end)
  return tags
end

-- ---- flavor ---------------------------------------------------------------------------------------------

local function is_bool(text)
  return text == "true" or text == "false"
end

-- flavor(value) -> { latest = "auto", prefix = "", suffix = "", on_latest = { prefix = false, suffix = false } }
function lines.flavor(value)
  local flavor = { latest = "auto", prefix = "", suffix = "", on_latest = {} }
  for position, line in ipairs(lines.list("flavor", value)) do
    local last
    for _, field in ipairs(fields_of("flavor", position, line)) do
      local key, text = field:match("^([^=]*)=([^=]*)")
      if not key then
        wrong("flavor", position, line, "'%s' is no KEY=VALUE; there are latest, prefix, suffix and onlatest", field)
      end
      key, text = trim(key):lower(), trim(text)
      if key == "latest" then
        if text ~= "auto" and not is_bool(text) then
          wrong("flavor", position, line, "latest is auto, true or false, and not '%s'", text)
        end
        flavor.latest = text
      elseif key == "prefix" or key == "suffix" then
        flavor[key], last = text, key
      elseif key == "onlatest" then
        if not is_bool(text) then
          wrong("flavor", position, line, "onlatest is true or false, and not '%s'", text)
        end
        if last then flavor.on_latest[last] = text == "true" end
      else
        wrong("flavor", position, line, "unknown attribute '%s'; there are latest, prefix, suffix and onlatest", key)
      end
    end
  end
  return flavor
end

return lines
