-- `strake image delete`: what goes, what has to stay, and in which order. Looking and taking away is C.

local delete = {}

local function raise(kind, message, hint)
  core.raise { kind = kind, message = message, hint = hint }
end

local function short(digest)
  return digest:sub(1, 19)
end

-- Everything that `digest` names, itself included, into `set`.
local function add_closure(manifests, digest, set)
  if set[digest] then return end
  set[digest] = true
  for _, name in ipairs(manifests[digest] and manifests[digest].names or {}) do
    add_closure(manifests, name, set)
  end
end

-- The image that a tag `sha256-<hex>` lists the referrers of. Who deletes one takes it out of that list
-- (plugins/oci), so that the list does not need it.
local function listed_subject(tag)
  local hex = tag:match("^sha256%-(%x+)$")
  return hex and #hex == 64 and "sha256:" .. hex
end

-- What the tags that stay need: digest -> the first tag, in their order, that does.
local function needed_by(seen, gone)
  local tags, needed = {}, {}
  for tag, digest in pairs(seen.tags) do
    if digest ~= gone then tags[#tags + 1] = tag end
  end
  table.sort(tags)
  for _, tag in ipairs(tags) do
    local set = {}
    add_closure(seen.manifests, seen.tags[tag], set)
    local subject = listed_subject(tag)
    for digest in pairs(set) do
      local manifest = seen.manifests[digest]
      if not (subject and manifest and manifest.subject == subject) then needed[digest] = needed[digest] or tag end
    end
  end
  return needed
end

-- Policies see the tags that go, each from its image to none.
local function ask(gate, args, result)
  local moves, tags = {}, {}
  for i, ref in ipairs(result.deleted) do
    tags[i] = ref:match(":([^:/]+)$")
    moves[i] = { ref = ref, tag = tags[i], from = result.digest, to = false }
  end
  gate("delete", { { name = "", image = args.repository, ref = args.repository .. "@" .. result.digest,
                     digest = result.digest, tags = tags, wanted = result.deleted, moves = moves } })
end

local function delete_tag(args, result, gate)
  result.digest = core.resolve(args.repository .. ":" .. args.tag)
  result.deleted = { args.repository .. ":" .. args.tag }
  ask(gate, args, result)
  if args.dry_run then return end
  core.delete_tag { ref = result.deleted[1], digest = result.digest }
end

-- The image, the tags that show it, and the parts of it that nothing else needs.
local function look(args, result)
  local seen = core.survey { repository = args.repository, digests = { args.digest } }
  if not seen.manifests[args.digest] then
    raise("registry",
          ("%s@%s is not there, or not visible with these credentials"):format(args.repository, args.digest),
          "`strake image list " .. args.repository .. "` lists the tags there are")
  end
  local needed = needed_by(seen, args.digest)
  if needed[args.digest] then
    raise("usage", ("%s is a part of %s:%s, which would be broken without it"):format(
            short(args.digest), args.repository, needed[args.digest]),
          "delete that first, or leave both")
  end
  for tag, digest in pairs(seen.tags) do
    if digest == args.digest then result.deleted[#result.deleted + 1] = args.repository .. ":" .. tag end
  end
  table.sort(result.deleted)
  local parts = {}
  add_closure(seen.manifests, args.digest, parts)
  parts[args.digest] = nil
  for part in pairs(parts) do
    if needed[part] then
      result.kept[#result.kept + 1] = { digest = part, why = ("%s:%s needs it"):format(args.repository, needed[part]) }
    elseif seen.manifests[part] then
      result.manifests[#result.manifests + 1] = part
    end
  end
  table.sort(result.manifests)
  table.sort(result.kept, function(a, b) return a.digest < b.digest end)
end

-- The whole first: until it is gone nothing of it is missing, and what a kill leaves behind is only unused.
local function delete_digest(args, result, gate)
  result.digest = args.digest
  look(args, result)
  table.insert(result.manifests, 1, args.digest)
  ask(gate, args, result)
  if args.dry_run then return end
  if #result.deleted > 0 and not args.yes then
    result.unconfirmed = true
    return
  end
  core.delete_manifest { repository = args.repository, digest = args.digest, refs = result.deleted }
  for i = 2, #result.manifests do
    core.delete_manifest { repository = args.repository, digest = result.manifests[i], refs = {} }
  end
end

-- gate: way.lua's
function delete.run(args, result, gate)
  if args.digest then delete_digest(args, result, gate) else delete_tag(args, result, gate) end
end

return delete
