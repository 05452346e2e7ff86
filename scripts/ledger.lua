-- The release ledger (docs/ledger.md): after tags moved, a record beside each image says which, from what,
-- when, by whom and from which commit. Read back it leads from what a tag shows now to what it showed before.

local ledger = {}

local MOVES_MAX = 500 -- in one record

local function tag_of(ref)
  return ref:match(":([^:/]+)$")
end

local function repository_of(ref)
  return ref:match("^(.*):[^:/]+$")
end

-- ---- who ------------------------------------------------------------------------------------------

-- A variable that can stand in a record; "" for one that is not set, is a secret or is no such text.
local function word(value)
  if type(value) ~= "string" or #value > 512 or value:find("%c") or not utf8.len(value) then return "" end
  return value
end

local function first(...)
  for _, value in ipairs { ... } do
    if word(value) ~= "" then return value end
  end
  return ""
end

-- The person, and the page of the CI run, as the services that run jobs tell them.
local function who()
  local url = ""
  if env.GITHUB_ACTIONS == "true" and env.GITHUB_REPOSITORY and env.GITHUB_RUN_ID then
    url = word(("%s/%s/actions/runs/%s"):format(first(env.GITHUB_SERVER_URL, "https://github.com"),
                                                word(env.GITHUB_REPOSITORY), word(env.GITHUB_RUN_ID)))
  end
  if url == "" then url = first(env.CI_JOB_URL, env.BUILDKITE_BUILD_URL, env.CIRCLE_BUILD_URL, env.BUILD_URL) end
  return first(env.GITHUB_ACTOR, env.GITLAB_USER_LOGIN, env.USER, env.LOGNAME),
         (url:gsub("^(%w+://)[^/@]*@", "%1")) -- credentials in it are nobody's business
end

-- ---- writing ----------------------------------------------------------------------------------------

-- What became of tags -> one entry for each image in each repository that keeps a ledger.
local function entries_of(moves, target_of)
  local list, known = {}, {}
  for _, move in ipairs(moves) do
    local repository = repository_of(move.ref)
    if move.status == "done" and core.keeps_ledger(repository, target_of(move.ref)) then
      local key = repository .. "@" .. move.to
      local entry = known[key]
      if not entry or #entry.moves == MOVES_MAX then
        entry = { image = repository, digest = move.to, moves = {}, refs = {} }
        known[key], list[#list + 1] = entry, entry
      end
      entry.moves[#entry.moves + 1] = { tag = tag_of(move.ref), from = move.from }
      entry.refs[#entry.refs + 1] = move.ref
    end
  end
  return list
end

-- The commit that an image says it is of, or that one of its tags names.
local function commit_of(entry)
  local ok, found = pcall(core.look, { repository = entry.image, digest = entry.digest, whole = false })
  local commit = ok and found.revision or ""
  for _, move in ipairs(entry.moves) do
    if commit == "" then commit = move.tag:match("^sha%-(%x+)$") or "" end
  end
  return commit:lower():match("^%x+$") and #commit <= 64 and commit:lower() or ""
end

local function tags_text(moves)
  local tags = {}
  for i, move in ipairs(moves) do
    if i > 3 then
      tags[i] = ("%d more"):format(#moves - 3)
      break
    end
    tags[i] = move.tag
  end
  return table.concat(tags, ", ")
end

-- What moved is published, whatever becomes of its records: a failure is a warning that says what is missing.
-- options: kind ("publish", "tag", "rollback"), run (this one), targets (ref -> name), commits (ref -> commit)
function ledger.write(moves, options)
  local targets, commits = options.targets or {}, options.commits or {}
  local entries = entries_of(moves, function(ref) return targets[ref] end)
  if #entries == 0 then return end
  local user, url = who()
  local time, run = core.time_now(), options.run or core.run_id()
  for _, entry in ipairs(entries) do
    local record = {
      kind = options.kind, repository = entry.image:find("^oci:") and "" or entry.image, digest = entry.digest,
      time = time, run = run, user = user, url = url, commit = commits[entry.refs[1]] or commit_of(entry),
      moves = entry.moves,
    }
    local _, failure = core.ledger_attach { image = entry.image, record = record }
    if failure then
      log.warn(("the ledger of %s lacks that %s moved to %s: %s%s"):format(
                 entry.image, tags_text(entry.moves), entry.digest:sub(1, 19), failure.message,
                 failure.detail and "; " .. failure.detail:match("^[^\n]*") or ""))
    end
  end
end

-- ---- reading ------------------------------------------------------------------------------------------

local STEPS_MAX = 100 -- of one tag, in one command
local TAGS_MAX = 500 -- of one repository

-- Reads each image's records once. `skipped` has what is broken or of another place.
function ledger.open(repository)
  return { repository = repository, images = {}, skipped = {} }
end

local function records_of(reader, digest)
  local found = reader.images[digest]
  if not found then
    found = core.ledger_read { repository = reader.repository, digest = digest }
    reader.images[digest] = found
    for _, entry in ipairs(found.skipped) do reader.skipped[#reader.skipped + 1] = entry end
    if found.more > 0 then
      reader.skipped[#reader.skipped + 1] = { record = digest, why = ("%s has %d more records: the oldest were not "
        .. "looked at"):format(digest:sub(1, 19), found.more) }
    end
  end
  return found.records
end

local function move_of(record, tag)
  for _, move in ipairs(record.moves) do
    if move.tag == tag then return move end
  end
end

-- How a tag came to where it is, from now on back, record by record.
function ledger.walk(reader, tag, digest)
  return { reader = reader, tag = tag, digest = digest, before = math.maxinteger, seen = {}, been = {}, steps = {} }
end

-- The newest record that is older than what came after it; where clocks disagree, the oldest of the others.
local function record_before(walk)
  local older, newer
  for _, record in ipairs(records_of(walk.reader, walk.digest)) do
    if not walk.seen[record.record] and move_of(record, walk.tag) then
      if record.time_us < walk.before then
        if not older or record.time_us > older.time_us then older = record end
      elseif not newer or record.time_us < newer.time_us then
        newer = record
      end
    end
  end
  return older or newer
end

local function is_there(repository, digest)
  return (pcall(core.resolve, repository .. "@" .. digest))
end

local function why_it_ends(walk)
  if walk.digest == "" then return "made" end
  if walk.been[walk.digest] then return "circle" end
  return is_there(walk.reader.repository, walk.digest) and "unknown" or "gone"
end

-- One step further back: { record, from, to, time_us }, or nothing, and walk.ended says why: "made" (the tag did
-- not exist before), "unknown" (no record), "gone" (the image was deleted, and its records with it), "circle".
function ledger.back(walk)
  if walk.ended then return end
  local record = walk.digest ~= "" and record_before(walk) or nil
  if not record then
    walk.ended = why_it_ends(walk)
    return
  end
  walk.seen[record.record], walk.been[walk.digest] = true, true
  local step = { record = record, tag = walk.tag, from = move_of(record, walk.tag).from, to = walk.digest,
                 time_us = math.min(record.time_us, walk.before - 1) }
  walk.before, walk.digest = step.time_us, step.from
  walk.steps[#walk.steps + 1] = step
  return step
end

-- ---- units: what scripts/rollback.lua goes by ---------------------------------------------------------

-- Steps of walks as core.units gives what the record of this machine has: oldest first, tags together that
-- moved together.
function ledger.units(steps)
  local units, known = {}, {}
  for _, step in ipairs(steps) do
    local record = step.record
    local key = record.run == "" and record.record or record.run .. " " .. record.kind .. " " .. record.time
    local unit = known[key]
    if not unit then
      unit = { run = record.run, kind = record.kind, time = record.time, time_us = step.time_us, moves = {},
               user = record.user, commit = record.commit }
      known[key], units[#units + 1] = unit, unit
    end
    unit.time_us = math.min(unit.time_us, step.time_us)
    unit.moves[#unit.moves + 1] = { ref = step.repository .. ":" .. step.tag, from = step.from, to = step.to }
  end
  table.sort(units, function(a, b)
    if a.time_us ~= b.time_us then return a.time_us < b.time_us end
    return a.run < b.run
  end)
  for i, unit in ipairs(units) do unit.unit = i end
  return units
end

-- The tags that a repository has, without those in which clients keep referrers.
local function tags_of(repository)
  local tags = {}
  for _, tag in ipairs(core.list_tags(repository)) do
    if not (#tag == 71 and tag:find("^sha256%-%x+$")) then tags[#tags + 1] = tag end
  end
  return tags
end

local function now_of(repository, tags)
  local refs, now = {}, {}
  for i, tag in ipairs(tags) do refs[i] = repository .. ":" .. tag end
  local digests = #refs > 0 and core.tags_now { refs = refs } or {}
  for i, tag in ipairs(tags) do
    if digests[refs[i]] ~= "" then now[tag] = digests[refs[i]] end
  end
  return now
end

-- The last publish that moved one of these tags to where it is now: its record, or nothing.
local function last_of(reader, now)
  local last
  for tag, digest in pairs(now) do
    local record = record_before(ledger.walk(reader, tag, digest))
    if record and (not last or record.time_us > last.time_us) then last = record end
  end
  return last
end

-- Which tags the current release of a repository moved: the last publish that moved one of `wanted` (the tags
-- of a target), or any where none of those exists. What `is_pinned` says moves by itself never.
-- @return its record, and the digests of its tags that are still where it put them; or nothing
function ledger.release(reader, wanted, is_pinned)
  local function movable(tags)
    local list = {}
    for _, tag in ipairs(tags) do
      if not is_pinned(tag) then list[#list + 1] = tag end
    end
    return list
  end
  local now = now_of(reader.repository, movable(wanted or {}))
  if not next(now) then
    local tags = movable(tags_of(reader.repository))
    if #tags > TAGS_MAX then
      core.raise { kind = "usage", message = ("%s has %d tags that may move"):format(reader.repository, #tags),
                   hint = "name those that go back: --tag TAG" }
    end
    now = now_of(reader.repository, tags)
  end
  local last = last_of(reader, now)
  if not last then return end
  local tags, still = {}, {}
  for i, move in ipairs(last.moves) do tags[i] = move.tag end
  for tag, digest in pairs(now_of(reader.repository, tags)) do
    if digest == last.digest then
      local record = record_before(ledger.walk(reader, tag, digest))
      if record and record.record == last.record then still[tag] = digest end
    end
  end
  return last, still
end

ledger.steps_max, ledger.now_of = STEPS_MAX, now_of

-- ---- `strake history --remote` --------------------------------------------------------------------------

local function shown(repository, step)
  local record = step.record
  return {
    ref = repository .. ":" .. step.tag, tag = step.tag, from = step.from, to = step.to, time = record.time,
    kind = record.kind, run = record.run, user = record.user, url = record.url, commit = record.commit,
    strake = record.strake, record = record.record,
  }
end

-- The walk whose next record is the newest, so that no more is read than is shown.
local function newest_of(walks)
  local best
  for _, walk in ipairs(walks) do
    local step = walk.steps[walk.next]
    if step and (not best or step.time_us > best.steps[best.next].time_us) then best = walk end
  end
  return best
end

-- args: repository, tag or nil, limit
function ledger.history(args, result)
  local reader, walks = ledger.open(args.repository), {}
  local tags = args.tag and { args.tag } or tags_of(args.repository)
  if #tags > TAGS_MAX then
    core.raise { kind = "usage", message = ("%s has %d tags"):format(args.repository, #tags),
                 hint = "name one: strake history --remote " .. args.repository .. ":TAG" }
  end
  local now = now_of(args.repository, tags)
  if args.tag and not now[args.tag] then
    core.raise { kind = "registry", message = ("%s:%s does not exist, or is not visible with these credentials"):format(
                   args.repository, args.tag),
                 hint = "`strake image list " .. args.repository .. "` lists what is there" }
  end
  for _, tag in ipairs(tags) do
    if now[tag] then
      local walk = ledger.walk(reader, tag, now[tag])
      walk.next = 1
      ledger.back(walk)
      walks[#walks + 1] = walk
    end
  end
  while #result.moves < args.limit do
    local walk = newest_of(walks)
    if not walk then break end
    result.moves[#result.moves + 1] = shown(args.repository, walk.steps[walk.next])
    walk.next = walk.next + 1
    ledger.back(walk)
  end
  for _, walk in ipairs(walks) do
    if walk.ended and walk.next > #walk.steps then
      result.ends[#result.ends + 1] = { tag = walk.tag, digest = walk.digest, why = walk.ended }
    elseif walk.next <= #walk.steps then
      result.more = true
    end
  end
  result.skipped = reader.skipped
end

return ledger
