-- What a rollback goes by: the history of this machine, or else the ledger in the registry (scripts/ledger.lua).

local knowledge = {}

local ledger = core.script("ledger")
local policies = core.script("policies")
local tag_lines = core.script("tag_lines")

-- Tags that name one release or one commit for good: never moved unless they are asked for.
function knowledge.is_pinned(tag)
  return policies.is_version(tag) or tag:find("^sha%-%x+$") ~= nil
end

-- ---- the record of this machine -----------------------------------------------------------------------

local function all_units(repositories)
  local units, known = {}, {}
  for _, repository in ipairs(repositories) do
    for _, unit in ipairs(core.units(repository) or {}) do
      local whole = known[unit.unit]
      if whole then
        for _, move in ipairs(unit.moves) do whole.moves[#whole.moves + 1] = move end
      else
        known[unit.unit] = unit
        units[#units + 1] = unit
      end
    end
  end
  table.sort(units, function(a, b) return a.unit < b.unit end)
  return units
end

-- ---- the ledger in the registry -----------------------------------------------------------------------

-- Read how a tag came to `digest`, as far back as so many steps need.
local function read_line(reader, tag, digest, steps, out)
  local walk = ledger.walk(reader, tag, digest)
  local ref = reader.repository .. ":" .. tag
  local function is_enough()
    return tag_lines.leads_back(tag_lines.of(ledger.units(walk.steps))[ref], steps)
  end
  while #walk.steps < ledger.steps_max and not is_enough() do
    local step = ledger.back(walk)
    if not step then break end
    step.repository = reader.repository
  end
  local more = ledger.back(walk) -- when the image that it goes back to was published
  if more then more.repository = reader.repository end
  for _, step in ipairs(walk.steps) do out[#out + 1] = step end
end

local function released(args, readers)
  local newest
  for _, repository in ipairs(args.repositories) do
    local reader = readers[repository]
    local record, still = ledger.release(reader, args.wanted, knowledge.is_pinned)
    if record then
      local release = { record = record, still = still, reader = reader }
      if not newest or record.time_us > newest[1].record.time_us then
        newest = { release }
      elseif record.run == newest[1].record.run and record.time == newest[1].record.time then
        newest[#newest + 1] = release
      end
    end
  end
  return newest or {}
end

-- What the ledger knows of the tags that are named, or else of those of the current release.
-- @return units as core.units gives them, and the tags of the release that moved on since: ref -> why
local function ledger_units(args)
  local readers, steps, kept = {}, {}, {}
  for _, repository in ipairs(args.repositories) do readers[repository] = ledger.open(repository) end
  local count = args.steps or 1
  if args.tags then
    for _, repository in ipairs(args.repositories) do
      for tag, digest in pairs(ledger.now_of(repository, args.tags)) do
        read_line(readers[repository], tag, digest, count, steps)
      end
    end
  else
    for _, release in ipairs(released(args, readers)) do
      for _, move in ipairs(release.record.moves) do
        local digest = release.still[move.tag]
        if not digest then
          kept[release.reader.repository .. ":" .. move.tag] = "it is gone, or moved on since"
        elseif knowledge.is_pinned(move.tag) then
          read_line(release.reader, move.tag, digest, 0, steps)
        else
          read_line(release.reader, move.tag, digest, count, steps)
        end
      end
    end
  end
  for _, repository in ipairs(args.repositories) do
    for _, entry in ipairs(readers[repository].skipped) do log.warn("skipped: " .. entry.why) end
  end
  return ledger.units(steps), kept
end

-- Does the record tell of each tag that is named?
local function knows_tags(units, args)
  local refs = {}
  for _, unit in ipairs(units) do
    for _, move in ipairs(unit.moves) do refs[move.ref] = true end
  end
  for _, repository in ipairs(args.repositories) do
    for _, tag in ipairs(args.tags or {}) do
      if not refs[repository .. ":" .. tag] then return false end
    end
  end
  return true
end

-- Where the knowledge comes from: what this machine recorded, or else what the registry keeps.
-- @return units as core.units gives them, the tags of the release that moved on since, and "record", "ledger" or
-- "": nothing is known, or had to be.
function knowledge.units(args)
  local units = args.ledger and {} or all_units(args.repositories)
  local told = args.tags and (args.to or args.commit) -- nothing has to be known
  if told or #units > 0 and knows_tags(units, args) then return units, {}, #units > 0 and "record" or "" end
  local others, moved_on = ledger_units(args)
  if #others > 0 then return others, moved_on, "ledger" end
  return units, {}, #units > 0 and "record" or ""
end

return knowledge
