-- tags.metadata { … }: the tags, labels and annotations that docker/metadata-action makes of the same lines.
--
--   tags = tags.metadata { tags = { "type=semver,pattern={{version}}", "type=sha" }, flavor = { "latest=auto" } }
--
-- lines.lua reads the lines, facts.lua knows the commit, handlebars.lua and moment.lua are the languages of
-- expressions and dates, versions.lua those of versions. docs/tags.md is the manual.

local facts = core.script("tags/facts")
local lines = core.script("tags/lines")
local handlebars = core.script("tags/handlebars")
local moment = core.script("tags/moment")
local versions = core.script("tags/versions")

local metadata = {}

-- What is being read, for messages: key, position, line.
local here = {}

local function wrong(format, ...)
  lines.wrong(here.key, here.position, here.line, format, ...)
end

-- ---- expressions ------------------------------------------------------------------------------------------

-- {{date 'FORMAT' tz='ZONE'}}
local function date_of(name, ms)
  return function(params, count, hash)
    if count == 0 then wrong("%s needs a format: {{%s 'YYYYMMDD'}}", name, name) end
    if count > 1 then wrong("%s takes one format", name) end
    local format, zone = params[1], "UTC"
    if format ~= nil and type(format) ~= "string" then wrong("the format of %s is a text in quotes", name) end
    for _, pair in ipairs(hash) do
      if pair[1] ~= "tz" then wrong("%s has no attribute '%s'; there is tz", name, pair[1]) end
      if type(pair[2]) ~= "string" then wrong("tz is the name of a zone in quotes: tz='Asia/Tokyo'") end
      zone = pair[2]
    end
    local ok, result = pcall(moment.format, ms(), format, zone)
    if not ok then wrong("%s", core.error_table(result).message) end
    return result
  end
end

local date, commit_date = date_of("date", facts.now), date_of("commit_date", facts.commit_time)

local function render(template, names)
  local ok, result = pcall(handlebars.render, template, names)
  if ok then return result end
  if type(result) == "table" and result.handlebars then wrong("%s", result.handlebars) end
  error(result, 0)
end

local function short_sha(sha)
  local written = env.DOCKER_METADATA_SHORT_SHA_LENGTH
  if not written or written == "" then return sha:sub(1, 7) end
  local length = lines.number(written)
  if not length then
    core.fail("config", ("DOCKER_METADATA_SHORT_SHA_LENGTH is not a number: %s"):format(written))
  end
  return sha:sub(1, math.max(0, length < #sha and math.tointeger(length // 1) or #sha))
end

local global_names = {
  branch = function() return facts.branch() or "" end,
  tag = function() return facts.tag() or "" end,
  sha = function() return short_sha(facts.get().sha) end,
  base_ref = function() return facts.get().base_ref end,
  is_default_branch = function() return tostring(facts.is_default_branch()) end,
  is_not_default_branch = function() return tostring(not facts.is_default_branch()) end,
  date = date,
  commit_date = commit_date,
}

local function global(template)
  return render(template, global_names)
end

-- ---- regular expressions ------------------------------------------------------------------------------------

-- What `pattern` finds in `text`: its groups from 1 (the whole match) on, or nothing.
local function search(pattern, flags, text)
  local ok, found = pcall(core.regex, pattern, flags, text)
  if not ok then wrong("%s", core.error_table(found).message) end
  return found
end

-- ---- one line -------------------------------------------------------------------------------------------------
-- Each type gives its value and whether it makes a `latest` under latest=auto, or nothing and why not.

local give = {}
local state -- flavor of the call

local function affixed(value, attrs)
  local prefix = attrs.prefix or state.flavor.prefix
  local suffix = attrs.suffix or state.flavor.suffix
  return global(prefix) .. value .. global(suffix)
end

function give.schedule(attrs)
  local event = facts.get().event
  if not event:find("schedule", 1, true) then return nil, "the event is not a schedule" end
  return affixed(render(attrs.pattern, { date = date, commit_date = commit_date }), attrs), false
end

-- What versions are read from: `value`, or the git tag.
local function source_of(attrs)
  if attrs.value ~= "" then return global(attrs.value) end
  local tag = facts.tag()
  if not tag then return nil, ("%s is no tag, and the line has no value"):format(facts.get().ref) end
  return tag
end

local function versioned(attrs, parse, kind)
  local text, why = source_of(attrs)
  if not text then return nil, why end
  if attrs.match ~= "" then
    local found = search(attrs.match, "", text)
    if found and not found[2] then wrong("match=%s has no group that could be the version", attrs.match) end
    text = found and found[2] or text
  end
  text = text:gsub("/", "-")
  local version = parse(text)
  if not version then return nil, ("'%s' is no %s version"):format(text, kind) end
  return version
end

function give.semver(attrs)
  local version, why = versioned(attrs, versions.semver, "semver")
  if not version then return nil, why end
  local pattern = attrs.pattern
  if version.is_prerelease and not handlebars.is_raw(pattern) then pattern = "{{version}}" end
  return affixed(render(pattern, version), attrs), not version.is_prerelease
end

function give.pep440(attrs)
  local version, why = versioned(attrs, versions.pep440, "PEP 440")
  if not version then return nil, why end
  if version.is_final then return affixed(render(attrs.pattern, version), attrs), true end
  return affixed(handlebars.is_raw(attrs.pattern) and version.raw or version.version, attrs), false
end

function give.match(attrs)
  local text, why = source_of(attrs)
  if not text then return nil, why end
  local pattern, flags = attrs.pattern:match("^/(.+)/(.*)$")
  local found = search(pattern or attrs.pattern, flags or "", text)
  if not found then return nil, ("%s does not match '%s'"):format(attrs.pattern, text) end
  local group = attrs.group:find("^%d+$") and tostring(math.tointeger(tonumber(attrs.group))) == attrs.group
    and tonumber(attrs.group)
  local value = group and found[group + 1]
  if not value then return nil, ("%s has no group %s in '%s'"):format(attrs.pattern, attrs.group, text) end
  return affixed(value, attrs), true
end

function give.edge(attrs)
  local branch = facts.branch()
  if not branch then return nil, ("%s is no branch"):format(facts.get().ref) end
  local wanted = attrs.branch ~= "" and attrs.branch or facts.edge_branch()
  if not wanted then return nil, "the default branch is not known; name it with branch=NAME" end
  if wanted ~= branch then return nil, ("the branch is %s and not %s"):format(branch, wanted) end
  return affixed("edge", attrs), false
end

function give.ref(attrs)
  local ref = facts.get().ref
  local found
  if attrs.event == "pr" then
    found = ref:match("^refs/pull/(.*)$")
    found = found and found:gsub("/merge$", "")
  else
    found = attrs.event == "tag" and facts.tag() or attrs.event == "branch" and facts.branch()
  end
  if not found then
    local what = attrs.event == "pr" and "pull request" or attrs.event
    return nil, ref == "" and "there is no ref" or ("%s is no %s"):format(ref, what)
  end
  return affixed(found, attrs), attrs.event == "tag"
end

function give.raw(attrs)
  return affixed(global(attrs.value), attrs), false
end

function give.sha(attrs)
  local sha = facts.get().sha
  if sha == "" then return nil, "there is no commit" end
  return affixed(attrs.format == "short" and short_sha(sha) or sha, attrs), false
end

-- ---- all lines ------------------------------------------------------------------------------------------------

local function sanitise(tag)
  return (tag:gsub("[^A-Za-z0-9._-]+", "-"))
end

local function is_enabled(tag)
  local enabled = global(tag.attrs.enable)
  if enabled ~= "true" and enabled ~= "false" then
    wrong("enable is true or false, and not '%s'", enabled)
  end
  return enabled == "true"
end

-- The tag of a line, or nothing and why.
local function tag_of(tag)
  here.key, here.position, here.line = "tags", tag.position, tag.line
  if not is_enabled(tag) then return nil, ("enable=%s is false"):format(tag.attrs.enable) end
  local value, latest = give[tag.type](tag.attrs)
  if not value then return nil, latest end
  if value == "" then return nil, "its value is empty" end
  return sanitise(value), nil, latest
end

local function latest_tag(flavor)
  local prefix = flavor.on_latest.prefix and flavor.prefix or ""
  local suffix = flavor.on_latest.suffix and flavor.suffix or ""
  return sanitise(prefix .. "latest" .. suffix)
end

-- Whether `latest` is added, by the first line that gave a tag; and why.
local function decide_latest(flavor, first)
  if not first then return false, "no line gave a tag" end
  if flavor.latest ~= "auto" then return flavor.latest == "true", "latest=" .. flavor.latest end
  return first.latest, ("the first tag, of '%s', is %s release"):format(first.tag.line, first.latest and "a" or "no")
end

local function add(list, seen, tag)
  if seen[tag] then return false end
  seen[tag] = true
  list[#list + 1] = tag
  return true
end

local function make_tags(list, rules)
  local result, seen, first = {}, {}, nil
  for _, tag in ipairs(lines.tags(list)) do
    local value, why, latest = tag_of(tag)
    if value then
      first = first or { tag = tag, latest = latest }
      if not add(result, seen, value) then value, why = nil, "given before" end
    end
    rules[#rules + 1] = { rule = tag.line, tag = value, why = why }
  end
  local yes, why = decide_latest(state.flavor, first)
  local latest = latest_tag(state.flavor)
  if yes and not add(result, seen, latest) then yes, why = false, "given before" end
  rules[#rules + 1] = { rule = "flavor latest=" .. state.flavor.latest, tag = yes and latest or nil, why = why }
  return result
end

-- ---- labels -----------------------------------------------------------------------------------------------------

local label_prefix = "org.opencontainers.image."
local common_labels -- what is the same for all targets

local function standard_labels(version)
  if not common_labels then
    local known = facts.get()
    local all = {
      title = known.repository.name, description = known.repository.description, url = known.repository.url,
      source = known.repository.url, created = moment.iso(facts.now()), revision = known.sha,
      licenses = known.repository.licenses,
    }
    common_labels = {}
    for name, value in pairs(all) do
      if value ~= "" then common_labels[label_prefix .. name] = (value:gsub("[\r\n]+", " ")) end
    end
  end
  local labels = {}
  for name, value in pairs(common_labels) do labels[name] = value end
  if version ~= "" then labels[label_prefix .. "version"] = version end
  return labels
end

-- KEY=VALUE lines over what is there already.
local function add_labels(labels, key, list)
  for position, line in ipairs(list) do
    here.key, here.position, here.line = key, position, line
    local text = global(line)
    local name, value = text:match("^([^=]+)=(.*)$")
    if name then
      labels[name] = value
    elseif text ~= "" then -- the action passes over it in silence
      log.warn(("tags.metadata: %s line %d '%s' is no KEY=VALUE, it means nothing"):format(key, position, line))
    end
  end
  return labels
end

-- ---- the call -----------------------------------------------------------------------------------------------------

local options = { tags = true, flavor = true, labels = true, annotations = true, images = true }

local function check_options(given)
  if type(given) ~= "table" then
    core.fail("config", "tags.metadata takes a table: { tags = { \"type=sha\" } }, got a " .. type(given))
  end
  for key in next, given do
    if not options[key] then
      core.fail("config", ("tags.metadata has no option '%s'; there are tags, flavor, labels, annotations and images")
                :format(tostring(key)))
    end
  end
end

-- metadata { tags, flavor, labels, annotations, images } -> the tags in order, with .version, .labels and
-- .annotations
function metadata.metadata(given)
  check_options(given)
  local rules = {}
  state = { flavor = lines.flavor(rawget(given, "flavor")) }
  local result = make_tags(rawget(given, "tags"), rules)
  result.version = result[1] or ""
  result.labels = add_labels(standard_labels(result.version), "labels",
                             lines.list("labels", rawget(given, "labels")))
  result.annotations = {}
  if rawget(given, "annotations") ~= nil then
    result.annotations = add_labels(standard_labels(result.version), "annotations",
                                    lines.list("annotations", rawget(given, "annotations")))
  end
  core.tags_keep(result, {
    version = result.version, labels = result.labels, annotations = result.annotations,
    images = rawget(given, "images") ~= nil and lines.list("images", rawget(given, "images")) or nil,
    explain = function() return rules end,
  })
  return result
end

return metadata
