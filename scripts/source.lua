-- Policies at `dockerfile` and at `source`: about what a build reads, before it reads it.
--
-- A policy at `source` is asked about every source that the plan can know: base images through all stages and
-- arguments, the image that reads the Dockerfile (# syntax=), named contexts, what ADD fetches. What it allows
-- becomes BuildKit's source policy; the daemon denies everything that nobody was asked about.

local source = {}

-- ---- dockerfile ---------------------------------------------------------------------------------

function source.ask_dockerfiles(plan, decided, stop_on_deny)
  for i = 1, core.plan_count(plan) do
    local known = core.plan_sources(plan, i)
    if known.text then -- of another machine's Dockerfile nothing is known
      local view, file = core.plan_view(plan, i), core.dockerfile(known.text, known.path)
      file.path, file.text, file.target, file.stage_name = known.path, known.text, view.name, known.stage
      local decisions = core.ask("dockerfile", file)
      decided(plan, i, view, decisions)
      stop_on_deny(decisions, view.name)
    end
  end
end

-- ---- names --------------------------------------------------------------------------------------

-- As BuildKit names an image: with its registry, and `latest` where nothing else is said.
local function full_name(ref)
  local name, digest = ref:match("^([^@]*)(@.*)$")
  name, digest = name or ref, digest or ""
  local host, rest = name:match("^([^/]+)/(.+)$")
  if not host or not (host:find("[.:]") or host == "localhost") then host, rest = "docker.io", name end
  if host == "index.docker.io" then host = "docker.io" end
  if host == "docker.io" and not rest:find("/", 1, true) then rest = "library/" .. rest end
  if digest == "" and not rest:match("[^/]*$"):find(":", 1, true) then rest = rest .. ":latest" end
  return host .. "/" .. rest .. digest
end

local function take_apart(ref)
  local name, digest = ref:match("^([^@]*)@?(.*)$")
  local repository, tag = name:match("^(.*):([^:/]+)$")
  return repository or name, tag or false, digest ~= "" and digest or false
end

-- ---- what is known ------------------------------------------------------------------------------

local function add(list, seen, kind, ref)
  if seen[ref] then return end
  seen[ref] = true
  list[#list + 1] = { kind = kind, ref = ref }
end

-- What ADD fetches; where an argument is in its address nobody knows it before.
local function add_fetched(known, list, seen)
  if not known.text then return end
  local file = core.dockerfile(known.text, known.path)
  for _, instruction in ipairs(file.instructions) do
    for at = 1, instruction.keyword == "ADD" and #instruction.args - 1 or 0 do
      local address = instruction.args[at]:gsub("[\"']", "")
      if not address:find("$", 1, true) then
        if address:find("^git@") or address:find("^git://") or address:find("^ssh://") or address:find("%.git$")
            or address:find("%.git#") then
          add(list, seen, "git", address)
        elseif address:find("^https?://") then
          add(list, seen, "http", address)
        end
      end
    end
  end
end

-- The sources of a target: { kind = "image" | "frontend" | "git" | "http", ref } each.
local function sources_of(known)
  local list, seen = {}, {}
  for _, image in ipairs(known.images) do
    local context = known.contexts[image]
    if not context then add(list, seen, "image", full_name(image)) end
  end
  for _, context in pairs(known.contexts) do
    local image = context:match("^docker%-image://(.*)$")
    if image then
      add(list, seen, "image", full_name(image))
    elseif context:find("^https?://") or context:find("^git") then
      add(list, seen, context:find("%.git") and "git" or "http", context)
    end
  end
  if known.syntax ~= "" then add(list, seen, "frontend", full_name(known.syntax)) end
  if known.context:find("://", 1, true) then
    local archive = known.context:find("^https?://") and not known.context:find("%.git")
    add(list, seen, archive and "http" or "git", known.context)
  end
  add_fetched(known, list, seen)
  return list
end

-- What the registry says of an image; a registry that says nothing leaves it unknown, which is no error here.
local function look_up(subject)
  local ok, found = pcall(core.inspect, subject.ref)
  if not ok then return end
  subject.digest = subject.digest or found.digest
  local config = found.platforms[1] and found.platforms[1].config or {}
  subject.created, subject.labels = config.created or false, config.labels or {}
end

-- ---- BuildKit's words ---------------------------------------------------------------------------

local function rule(action, kind, identifier, update)
  return { action = action, selector = { identifier = identifier, match_type = kind },
           updates = update and { identifier = update } or nil }
end

-- An image is looked at twice, by its name and by name and digest.
local function allow_image(rules, ref)
  rules[#rules + 1] = rule("ALLOW", "EXACT", "docker-image://" .. ref)
  if not ref:find("@", 1, true) then
    rules[#rules + 1] = rule("ALLOW", "WILDCARD", "docker-image://" .. ref .. "@sha256:*")
  end
end

local function buildkit_policy(sources)
  local rules = {}
  for _, scheme in ipairs { "docker-image", "http", "https", "git" } do
    rules[#rules + 1] = rule("DENY", "WILDCARD", scheme .. "://*")
  end
  for _, one in ipairs(sources) do
    if one.kind == "image" or one.kind == "frontend" then
      allow_image(rules, one.ref)
      if one.was ~= one.ref then
        rules[#rules + 1] = rule("CONVERT", "EXACT", "docker-image://" .. one.was, "docker-image://" .. one.ref)
      end
    elseif one.kind == "http" then
      rules[#rules + 1] = rule("ALLOW", "EXACT", one.ref)
      if one.was ~= one.ref then rules[#rules + 1] = rule("CONVERT", "EXACT", one.was, one.ref) end
    else
      local place = one.ref:gsub("^%a[%w+.-]*://", ""):gsub("^git@([^:/]+):", "%1/"):gsub("#.*$", "")
      rules[#rules + 1] = rule("ALLOW", "WILDCARD", "git://" .. place .. "*")
    end
  end
  return json.encode { version = 1, rules = rules }
end

-- ---- asking -------------------------------------------------------------------------------------

local function ask_one(one, view, options)
  local repository, tag, digest = one.ref, false, false
  if one.kind == "image" or one.kind == "frontend" then repository, tag, digest = take_apart(one.ref) end
  local subject = { kind = one.kind, ref = one.ref, repository = repository, tag = tag, digest = digest,
                    target = view.name, created = false, labels = {} }
  if options.stage and (one.kind == "image" or one.kind == "frontend") then look_up(subject) end
  local decisions = core.ask("source", subject)
  one.was = one.ref
  if one.kind == "image" or one.kind == "frontend" then one.ref = full_name(subject.ref) else one.ref = subject.ref end
  for _, decision in ipairs(decisions) do
    if decision.action == "change" then decision.message = ("%s becomes %s"):format(one.was, one.ref) end
  end
  return decisions
end

-- options.stage: it is built now, and registries may be asked.
function source.ask_sources(plan, options, decided, stop_on_deny)
  for i = 1, core.plan_count(plan) do
    local view, all, pinned = core.plan_view(plan, i), {}, true
    local sources = sources_of(core.plan_sources(plan, i))
    for _, one in ipairs(sources) do
      for _, decision in ipairs(ask_one(one, view, options)) do
        decision.message = decision.message and one.was .. ": " .. decision.message
        all[#all + 1] = decision
      end
      pinned = pinned and one.was == one.ref and one.ref:find("@sha256:", 1, true) ~= nil
    end
    decided(plan, i, view, all)
    stop_on_deny(all, view.name)
    core.plan_allow(plan, i, buildkit_policy(sources), pinned)
  end
end

return source
