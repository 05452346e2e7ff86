-- `strake rollback`: which tags go back, and to what. What is known of them (rollback_known.lua) is read as the
-- lines of the tags: what each showed, one image after the other (tag_lines.lua).

local rollback = {}

local knowledge = core.script("rollback_known")
local tag_lines = core.script("tag_lines")

local function tag_of(ref)
  return ref:match(":([^:/]+)$")
end

-- Where `args.source` says that the knowledge comes from.
local function source_name(args)
  local places = table.concat(args.repositories, ", ")
  return args.source == "ledger" and "the ledger of " .. places or "this machine's record"
end

-- What was asked in vain, at the beginning of a sentence.
local function nobody(args)
  local places = table.concat(args.repositories, ", ")
  return args.ledger and "no ledger of " .. places
    or ("no record on this machine, and no ledger of %s,"):format(places)
end

local function raise(kind, message, hint)
  core.raise { kind = kind, message = message, hint = hint }
end

local function short(digest)
  return digest:sub(1, 19)
end

-- ---- which tags -------------------------------------------------------------------------------------

local function sorted_keys(set)
  local keys = {}
  for key in pairs(set) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- The current release: the last unit that stands and moved tags that existed before it; where it is said to
-- what they go, also tags that went back to their first image. `kept` tells of its other tags.
local function current_release(lines, repositories, told)
  local releases, newest = {}, {}
  for ref, line in pairs(lines) do
    local unit = line.at > 0 and line[line.at].unit
    if unit then
      local release = releases[unit.unit] or { unit = unit, refs = {}, kept = {} }
      if not releases[unit.unit] then newest[#newest + 1] = release end
      releases[unit.unit] = release
      if knowledge.is_pinned(tag_of(ref)) then
        release.kept[ref] = "it names one release"
      elseif line.at == 1 and not (told and #line > 1) then
        release.kept[ref] = unit.kind == "rollback" and "nothing before it is known" or "it did not exist before"
      else
        release.refs[ref] = true
      end
    end
  end
  table.sort(newest, function(a, b) return a.unit.unit > b.unit.unit end)
  for _, release in ipairs(newest) do
    if next(release.refs) then return sorted_keys(release.refs), release end
    if release.unit.kind == "publish" and not release.unit.undone then
      raise("usage", ("the last release (run %s) moved no tag of %s that existed before it"):format(
              release.unit.run, table.concat(repositories, ", ")),
            "say which tags go back, and where to: strake rollback --tag TAG --to REF")
    end
  end
  raise("usage", "nothing before the current release of " .. table.concat(repositories, ", ") .. " is known",
        "say which tags go back, and where to: strake rollback --tag TAG --to REF")
end

local function named_refs(args)
  local refs = {}
  for _, repository in ipairs(args.repositories) do
    for _, tag in ipairs(args.tags) do refs[#refs + 1] = repository .. ":" .. tag end
  end
  return refs
end

-- ---- where to ---------------------------------------------------------------------------------------

-- The state before the N-th release from the end, release by release on the lines of these tags.
local function steps_back(args, lines, refs)
  local steps = args.steps or 1
  local ids, seen = {}, {}
  for _, ref in ipairs(refs) do
    local line = lines[ref]
    if not line then
      raise("usage", source_name(args) .. " knows nothing of " .. ref,
            "say where it goes: strake rollback --tag " .. tag_of(ref) .. " --to REF")
    end
    for i = 2, line.at do
      if line[i].unit and not seen[line[i].id] then
        seen[line[i].id] = true
        ids[#ids + 1] = line[i].id
      end
    end
  end
  table.sort(ids, function(a, b) return a > b end)
  if #ids < steps then
    raise("usage", ("%s leads only %d steps back, not %d"):format(source_name(args), #ids, steps),
          "say where it goes: strake rollback --to REF|DIGEST")
  end
  local to, none = {}, {}
  for _, ref in ipairs(refs) do
    local line = lines[ref]
    local i = line.at
    while i > 0 and line[i].id >= ids[steps] do i = i - 1 end
    if i > 0 then to[ref] = { digest = line[i].digest } else none[ref] = "it did not exist before" end
  end
  return to, none
end

local function repository_of(ref)
  return ref:match("^(.*):[^:/]+$")
end

-- --to REF|DIGEST|TAG, in the repository of each tag unless another one is written
local function named_image(args, refs)
  local to, found = {}, {}
  for _, ref in ipairs(refs) do
    local source = args.to
    if source:find("^sha256:%x+$") then
      source = repository_of(ref) .. "@" .. source
    elseif not source:find("[/:@]") then
      source = repository_of(ref) .. ":" .. source
    end
    if not found[source] then
      found[source] = { digest = core.resolve(source), source = core.repository(source) }
    end
    to[ref] = found[source]
  end
  return to
end

-- The digest behind the `sha-` tag of a commit, as strake, docker/metadata-action and others shorten it.
local function commit_image(repository, commit)
  local refs = {}
  for _, length in ipairs { 7, 8, 40 } do
    if #commit >= length then refs[#refs + 1] = repository .. ":sha-" .. commit:sub(1, length) end
  end
  local now = core.tags_now { refs = refs }
  for _, ref in ipairs(refs) do
    if now[ref] ~= "" then return now[ref] end
  end
  -- written at another length, or git does not know it here: what fits, if that is only one image
  local digest, tag
  for _, name in ipairs(core.list_tags(repository)) do
    local hash = name:match("^sha%-(%x+)$")
    if hash and #hash >= 7 and (hash:sub(1, #commit) == commit or commit:sub(1, #hash) == hash) then
      local other = core.resolve(repository .. ":" .. name)
      if digest and digest ~= other then
        raise("usage", ("%s may be %s or %s"):format(commit, tag, name), "write more of the commit")
      end
      digest, tag = other, name
    end
  end
  return digest, refs
end

local function commit_images(args, refs)
  local revision = args.commit
  local commit = core.commit(revision)
  if not commit then
    if not revision:find("^%x+$") or #revision < 7 or #revision > 40 then
      raise("usage", ("git knows no commit '%s' here"):format(revision), "write 7 digits of it at least")
    end
    commit = revision:lower()
  end
  local to, found = {}, {}
  for _, ref in ipairs(refs) do
    local repository = repository_of(ref)
    if not found[repository] then
      local digest, asked = commit_image(repository, commit)
      if not digest then
        raise("registry", ("no image of commit %s in %s"):format(commit:sub(1, 8), repository),
              "looked for " .. table.concat(asked, ", ") .. "; `strake image list " .. repository ..
              "` lists what is there")
      end
      found[repository] = { digest = digest }
    end
    to[ref] = found[repository]
  end
  return to
end

-- ---- what it is about ---------------------------------------------------------------------------------

-- What is known of the images that tags leave and get: from the registry, and from when they were published.
local function describe(images, units, repository, digest, facts)
  for _, image in ipairs(images) do
    if image.digest == digest then return end
  end
  local image = { digest = digest, created = facts.created or "", commit = facts.revision or "" }
  for _, unit in ipairs(units) do
    for _, move in ipairs(unit.moves) do
      if move.to == digest and unit.kind ~= "rollback" and repository_of(move.ref) == repository then
        image.published, image.run, image.user = unit.time, unit.run, unit.user
        if image.commit == "" then image.commit = unit.commit or "" end
        if image.commit == "" then image.commit = tag_of(move.ref):match("^sha%-(%x+)$") or "" end
      end
    end
  end
  images[#images + 1] = image
end

-- Everything that a tag shall show has to be there as a whole; what it shows now is described if it can be.
local function look_at_images(result, plan, units)
  local facts, looks = {}, {}
  local function look(repository, digest, whole)
    local key = repository .. "@" .. digest
    if facts[key] then return end
    facts[key] = {}
    looks[#looks + 1] = function()
      local ok, found = pcall(core.look, { repository = repository, digest = digest, whole = whole })
      if ok then facts[key] = found elseif whole then error(found, 0) end
    end
  end
  for _, move in ipairs(plan) do look(move.source, move.to, true) end
  for _, move in ipairs(plan) do look(repository_of(move.ref), move.from, false) end
  for i = 1, #looks, 8 do all { table.unpack(looks, i, math.min(i + 7, #looks)) } end
  for _, move in ipairs(plan) do
    local repository = repository_of(move.ref)
    local key = repository .. "@" .. move.from
    describe(result.images, units, repository, move.from, facts[key])
    describe(result.images, units, repository, move.to, facts[move.source .. "@" .. move.to])
  end
end

-- A record that others have overtaken does not decide where a tag goes, nor which tags go.
local function check_left_there(args, ref, line, now)
  local left = line.at > 0 and line[line.at].digest
  if not left or left == now or args.force or (args.tags and (args.to or args.commit)) then return end
  if args.source == "ledger" then
    raise("conflict", ("%s is at %s, not at %s where it was a moment ago: somebody else moves it"):format(
            ref, short(now), short(left)), "look at what they did: strake history --remote " .. ref)
  end
  raise("conflict", ("%s is at %s, not at %s where this machine left it: somebody else moved it"):format(
          ref, short(now), short(left)),
        ("look at it with `strake image show %s`; say where it goes with --tag %s --to REF|DIGEST, go by the "
          .. "registry's ledger with --ledger, or by this machine's record with --force"):format(ref, tag_of(ref)))
end

-- Where each tag is now, and what it would do.
local function compare(args, refs, to, kept, lines)
  local now, plan = core.tags_now { refs = refs }, {}
  for _, ref in ipairs(refs) do
    local line, goal = lines[ref], to[ref]
    if goal and now[ref] == "" and args.tags then
      raise("usage", ref .. " does not exist: a rollback makes no tags",
            "strake image tag " .. repository_of(ref) .. "@" .. goal.digest .. " " .. tag_of(ref))
    elseif goal and now[ref] == "" then
      kept[ref] = "it is gone"
    elseif goal then
      if line then check_left_there(args, ref, line, now[ref]) end
      plan[#plan + 1] = { ref = ref, from = now[ref], to = goal.digest, source = goal.source or repository_of(ref) }
    end
  end
  return plan
end

-- ---- the command ----------------------------------------------------------------------------------------

local function claim_all(repositories)
  local claims = {}
  for i, repository in ipairs(repositories) do
    local claim, holder = core.claim("rollback " .. repository)
    if not claim then
      raise("conflict", ("another rollback of %s is running (run %s)"):format(repository, holder),
            "wait for it, and look at what it did: strake history show " .. holder)
    end
    claims[i] = claim
  end
  return claims
end

local function choose(args, units, lines)
  local refs, release
  if args.tags then
    refs = named_refs(args)
  elseif #units == 0 then
    raise("usage", nobody(args) .. " says which tags the current release moved",
          (args.to or args.commit) and "name them: --tag TAG"
            or "say which tags go back, and where to: strake rollback --tag TAG --to REF|DIGEST, or --commit REV")
  else
    refs, release = current_release(lines, args.repositories, args.to or args.commit)
  end
  if args.to then return refs, named_image(args, refs), {}, release end
  if args.commit then return refs, commit_images(args, refs), {}, release end
  if #units == 0 then
    raise("usage", nobody(args) .. " knows what " .. table.concat(refs, ", ") .. " showed before",
          "say where it goes: --to REF|DIGEST, or --commit REV")
  end
  local to, none = steps_back(args, lines, refs)
  return refs, to, none, release
end

-- One subject of the policies for each image that gets tags.
local function subjects(args, plan)
  local list, known = {}, {}
  for _, move in ipairs(plan) do
    local repository = repository_of(move.ref)
    local ref = move.source .. "@" .. move.to
    local key = repository .. " " .. ref
    local subject = known[key]
    if not subject then
      subject = { name = args.target or "", image = repository, ref = ref, digest = move.to, tags = {}, wanted = {} }
      known[key], list[#list + 1] = subject, subject
    end
    subject.tags[#subject.tags + 1] = tag_of(move.ref)
    subject.wanted[#subject.wanted + 1] = move.ref
  end
  return list
end

local function announce(images, args)
  for _, image in ipairs(images) do
    core.event("image.published", image.name, { image = image.image, digest = image.digest, refs = image.wanted,
                                                target = args.target, rollback = true })
  end
end

-- Some moved tags may have been moved to the same place by another machine in this moment: that is told.
local function warn_of_others(moves)
  for _, move in ipairs(moves) do
    if move.status == "unchanged" and move.from ~= move.to then
      log.warn(("%s was moved to %s by somebody else meanwhile"):format(move.ref, short(move.to)))
    end
  end
end

-- steps: way.lua's `gate`
function rollback.run(args, result, gate)
  local claims = args.dry_run and {} or claim_all(args.repositories)
  local units, moved_on, source = knowledge.units(args)
  args.source, result.source = source, source
  local lines = tag_lines.of(units)
  local refs, to, kept, release = choose(args, units, lines)
  for _, others in ipairs { moved_on, release and release.kept or {} } do
    for ref, why in pairs(others) do kept[ref] = why end
  end
  local plan = compare(args, refs, to, kept, lines)
  for _, ref in ipairs(sorted_keys(kept)) do result.kept[#result.kept + 1] = { ref = ref, why = kept[ref] } end
  for i, move in ipairs(plan) do
    result.moves[i] = { ref = move.ref, from = move.from, to = move.to,
                        status = move.from == move.to and "unchanged" or "planned" }
  end
  look_at_images(result, plan, units)
  local images, tags = subjects(args, plan), {}
  gate("retag", images, true)
  if args.dry_run then return end
  for i, move in ipairs(plan) do tags[i] = { ref = move.ref, source = move.source, digest = move.to } end
  local failure
  result.moves, failure = core.publish(tags, true, { force = args.force, kind = "rollback" })
  if failure then core.raise(failure) end
  local targets = {}
  for _, tag in ipairs(tags) do targets[tag.ref] = args.target end
  core.script("ledger").write(result.moves, { kind = "rollback", targets = targets })
  warn_of_others(result.moves)
  announce(images, args)
  return claims -- held until here
end

return rollback
