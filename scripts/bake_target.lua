-- What each attribute of a target that `buildx bake --print` shows becomes in Strake. An attribute that
-- Strake cannot keep is a problem, which bake.lua tells: nothing is dropped in silence.

local bake_target = {}

-- bake escapes these for its own templates: `$${` stands for `${`.
local function unescape(text)
  return (text:gsub("%$%${", "${"):gsub("%%%%{", "%%{"))
end

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- The tables of a list. Anything else is a string error, which take_attribute() turns into a problem.
local function entries(list)
  for _, entry in ipairs(list) do
    if type(entry) ~= "table" then error("a table is wanted") end
  end
  return list
end

-- Relative paths begin where buildx ran.
local function absolute(path)
  return path:sub(1, 1) == "/" and path or core.bake_folder() .. "/" .. path:gsub("^%./", "")
end

-- One field of a CSV record, as BuildKit reads it.
local function csv_field(key, value)
  local text = key .. "=" .. value
  if text:find("[,\"\n]") then text = '"' .. text:gsub('"', '""') .. '"' end
  return text
end

-- { type = "registry", ref = "…" } -> "type=registry,ref=…"
local function csv_record(entry)
  local fields = { csv_field("type", entry.type) }
  for _, key in ipairs(sorted_keys(entry)) do
    if key ~= "type" then fields[#fields + 1] = csv_field(key, entry[key]) end
  end
  return table.concat(fields, ",")
end

-- ---- attributes -----------------------------------------------------------------------------------------
-- take[ATTRIBUTE](target, value): `target` has `fields`, and say(attribute, why, hint).

local take = {}

-- Attributes that are what they are in Strake, but for the name.
for attribute, key in pairs { context = "context", target = "stage", network = "network", tags = "refs",
                              entitlements = "entitlements", ["no-cache"] = "no_cache", pull = "pull",
                              ["no-cache-filter"] = "no_cache_stages", ["shm-size"] = "shm_size" } do
  take[attribute] = function(target, value) target.fields[key] = value end
end

function take.platforms(target, value)
  local platforms = {}
  for i, platform in ipairs(value) do
    platforms[i] = platform == "local" and core.bake_platform() or platform -- of the machine that asks
  end
  target.fields.platforms = platforms
end

-- It tells people what a target is for, and nothing to a builder.
function take.description() end

function take.dockerfile(target, value)
  local path = value:match("^cwd://(.*)$")
  target.fields.dockerfile = path and absolute(path) or value:gsub("^%./", "")
end

-- After `dockerfile`, which it replaces.
take["dockerfile-inline"] = function(target, value)
  if (target.fields.context or ""):find("://", 1, true) then
    target:say("dockerfile-inline", "the context is not on this machine, and so its Dockerfile is not either",
               "write it into a file of that context")
    return
  end
  target.fields.dockerfile = core.bake_dockerfile(unescape(value))
end

-- null: the file names it without a value, which is none.
local function texts(map)
  local result = {}
  for key, value in pairs(map) do
    if value then result[key] = unescape(value) end
  end
  return result
end

function take.args(target, value)
  local args = texts(value)
  local epoch = args.SOURCE_DATE_EPOCH
  if epoch and epoch:find("^%d+$") then
    target.fields.source_date_epoch, args.SOURCE_DATE_EPOCH = epoch, nil
  end
  target.fields.args = args
end

function take.labels(target, value) target.fields.labels = texts(value) end
take["extra-hosts"] = function(target, value) target.fields.add_hosts = texts(value) end

local function annotate(target, key, value)
  target.fields.annotations = target.fields.annotations or {}
  target.fields.annotations[key] = value
end

-- "KEY=VALUE" or "LEVEL[PLATFORM],LEVEL:KEY=VALUE"
function take.annotations(target, value)
  for _, written in ipairs(value) do
    local key, text = unescape(written):match("^(.-)=(.*)$")
    local levels, rest = (key or ""):match("^(.-):(.*)$")
    if not key then
      target:say("annotations", "'" .. written .. "' is not KEY=VALUE")
    elseif not levels then
      annotate(target, key, text)
    else
      for level in levels:gmatch("[^,]+") do annotate(target, level .. ":" .. rest, text) end
    end
  end
end

function take.contexts(target, value)
  local contexts = {}
  for name, source in pairs(value) do
    local other, layout = source:match("^target:(.*)$"), source:match("^oci%-layout://(.*)$")
    contexts[name] = other and target.handle(other) or layout and "oci-layout://" .. absolute(layout)
      or source:gsub("^cwd://", ""):gsub("^%./", "")
  end
  target.fields.contexts = contexts
end

local function cache_records(value)
  local records = {}
  for i, entry in ipairs(entries(value)) do
    if entry.type == "local" then
      entry.src, entry.dest = entry.src and absolute(entry.src), entry.dest and absolute(entry.dest)
    end
    records[i] = csv_record(entry)
  end
  return records
end

take["cache-from"] = function(target, value) target.fields.cache_from = cache_records(value) end
take["cache-to"] = function(target, value) target.fields.cache_to = cache_records(value) end

-- An id alone is a variable of that name, or else a file of that name.
function take.secret(target, value)
  local secrets = {}
  for _, entry in ipairs(entries(value)) do
    local id = entry.id or entry.env or entry.src
    if entry.env or (not entry.src and env[id]) then
      secrets[id] = secret.env(entry.env or id)
    else
      secrets[id] = secret.file(entry.src or id)
    end
  end
  target.fields.secrets = secrets
end

function take.ssh(target, value)
  local list = {}
  for i, entry in ipairs(entries(value)) do
    local paths = {}
    for k, path in ipairs(entry.paths or {}) do paths[k] = absolute(path) end
    list[i] = entry.id .. (#paths > 0 and "=" .. table.concat(paths, ",") or "")
  end
  target.fields.ssh = list
end

function take.ulimits(target, value)
  local limits = {}
  for _, written in ipairs(value) do
    local name, limit = written:match("^([^=]+)=(.+)$")
    if name then limits[name] = limit else target:say("ulimits", "'" .. written .. "' is not NAME=SOFT:HARD") end
  end
  target.fields.ulimits = limits
end

function take.attest(target, value)
  local made = {}
  for _, entry in ipairs(entries(value)) do
    local options = {}
    for _, key in ipairs(sorted_keys(entry)) do
      if key ~= "type" and key ~= "disabled" then options[#options + 1] = csv_field(key, entry[key]) end
    end
    if entry.type ~= "provenance" and entry.type ~= "sbom" then
      target:say("attest", ("there is no attestation of type '%s'"):format(tostring(entry.type)))
    elseif entry.disabled then
      made[entry.type] = false
    else
      made[entry.type] = #options == 0 or table.concat(options, ",")
    end
  end
  target.fields.attestations = made
end

-- ---- what has no place in a target ------------------------------------------------------------------------

function take.call(target, value)
  if value and value ~= "build" then
    target:say("call", ("a target is built, and not asked for its `%s`"):format(tostring(value)),
               "`strake check` checks Dockerfiles; leave it out here: without = { \"call\" }")
  end
end

function take.resources(target)
  target:say("resources", "Strake does not limit a build's memory and processors",
             "leave it out: without = { \"resources\" }")
end

function take.policy(target, value)
  for _, entry in ipairs(entries(value)) do
    if not entry.Disabled then
      target:say("policy", "Strake does not run Rego",
                 "write it as a policy of strake.lua, policy \"NAME\" { at = \"source\", … }, and leave it out "
                 .. "here: without = { \"policy\" }")
      return
    end
  end
end

-- ---- outputs ---------------------------------------------------------------------------------------------

-- What an output that pushes may say: each is a key of the target, or holds for every image of Strake.
local pushed = {
  compression = function(target, value) target.fields.compression = value end,
  ["compression-level"] = function(target, value) target.fields.compression_level = math.tointeger(value) or value end,
  ["force-compression"] = function(target, value) target.fields.force_compression = value == "true" end,
  ["rewrite-timestamp"] = function(target, value) target.fields.rewrite_timestamp = value == "true" end,
  ["oci-mediatypes"] = function(target, value)
    if value ~= "true" then target:say("output oci-mediatypes", "Strake's images have OCI media types") end
  end,
  name = function(target, value)
    local refs = target.fields.refs or {}
    for ref in value:gmatch("[^,]+") do refs[#refs + 1] = ref end
    target.fields.refs = refs
  end,
}

local function take_push(target, entry)
  for _, key in ipairs(sorted_keys(entry)) do
    local level, rest = key:match("^annotation%-?([^.]*)%.(.*)$")
    if level then
      annotate(target, (level ~= "" and level .. ":" or "") .. rest, entry[key])
    elseif pushed[key] then
      pushed[key](target, entry[key])
    elseif key ~= "type" and key ~= "push" then
      target:say("output " .. key, "an image that Strake pushes has no such option")
    end
  end
end

local function cannot_keep(target, kind, instead)
  target:say("output type=" .. kind, "where a result goes is said on the command line",
             ("%s %s; and leave it out here: without = { \"output\" }"):format(instead, target.name))
end

function take.output(target, value)
  local pushes = false
  for _, entry in ipairs(entries(value)) do
    local kind = entry.type
    if kind == "registry" or (kind == "image" and entry.push == "true") then
      pushes = true
      take_push(target, entry)
    elseif kind == "image" then
      cannot_keep(target, kind, "`strake build --push`")
    elseif kind == "docker" and not entry.dest then
      cannot_keep(target, kind, "`strake build --load`")
    elseif kind ~= "cacheonly" then -- which is what a build without an output is
      cannot_keep(target, tostring(kind), ("`strake build --output type=%s,dest=…`"):format(tostring(kind)))
    end
  end
  if pushes and not target.fields.refs then
    target:say("output", "it pushes, but the target has no tags", "give it tags = [ … ]")
  end
end

-- ---- all of a target ---------------------------------------------------------------------------------------

-- What pairs like, texts, flags and lists are, so that a newer buildx cannot be misunderstood.
local shapes = {
  args = "table", labels = "table", annotations = "table", contexts = "table", ["cache-from"] = "table",
  ["cache-to"] = "table", secret = "table", ssh = "table", ulimits = "table", attest = "table", output = "table",
  policy = "table", ["extra-hosts"] = "table", entitlements = "table", platforms = "table", tags = "table",
  ["no-cache-filter"] = "table", ["no-cache"] = "boolean", pull = "boolean", context = "string",
  ["dockerfile-inline"] = "string",
  dockerfile = "string", target = "string", network = "string", ["shm-size"] = "string", description = "string",
}

local methods = {}
methods.__index = methods

function methods:say(attribute, why, hint)
  self.problems[#self.problems + 1] = {
    text = ("target \"%s\": %s cannot be kept: %s"):format(self.name, attribute, why), hint = hint,
    target = self.name, attribute = attribute:match("^%S+"),
  }
end

local function take_attribute(made, attribute, value)
  if not take[attribute] then
    made:say(attribute, "this version of Strake does not know it",
             ("without = { \"%s\" } leaves it out"):format(attribute))
  elseif shapes[attribute] and type(value) ~= shapes[attribute] then
    made:say(attribute, ("it is a %s, and not as buildx 0.38 prints it"):format(type(value)))
  else
    local kept, failure = pcall(take[attribute], made, value)
    if not kept and type(failure) ~= "string" then error(failure, 0) end
    if not kept then made:say(attribute, "it is not as buildx 0.38 prints it") end -- another shape deeper within
  end
end

-- Whoever has the image reads these; a variable of the file may have taken a secret out of the environment.
local function refuse_secrets(made)
  for _, key in ipairs { "args", "labels", "annotations" } do
    local map = made.fields[key] or {}
    for _, name in ipairs(sorted_keys(map)) do
      local reveals = core.bake_reveals(map[name])
      if reveals then
        made:say(key .. " " .. name,
                 ("it holds the secret %s, and everybody could read it in the image"):format(reveals),
                 "give it as a secret, and read that in the Dockerfile: RUN --mount=type=secret,id=…")
      end
    end
  end
end

-- fields(name, entry, without, problems) -> the keys of target "NAME" { … }; what cannot be kept goes to
-- `problems`. Attributes in the set `without` are passed over: the team has said so.
function bake_target.fields(name, entry, without, problems)
  local made = setmetatable({ name = name, fields = {}, problems = problems, handle = target }, methods)
  -- outputs last: they speak of what the others said
  local attributes = sorted_keys(entry)
  for pass = 1, 2 do
    for _, attribute in ipairs(attributes) do
      local value = entry[attribute]
      local now = (attribute == "output") == (pass == 2) and not without[attribute]
      if now and value ~= false then -- null and false say nothing
        take_attribute(made, attribute, value)
      end
    end
  end
  refuse_secrets(made)
  return made.fields
end

return bake_target
