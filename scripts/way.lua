-- The way of an image: plan, build, stage, gate, publish, record, notify. Commands and flows take the
-- same steps in the same order; what each step does is C (core/lua/lua_way.c), what follows what is here.

local way = {}

-- ---- saying no ----------------------------------------------------------------------------------

-- Everything that policies denied, told at once: the first as the message, the others below it.
local function stop_on_deny(decisions, where)
  local first, others, told = nil, {}, {}
  for _, decision in ipairs(decisions) do
    local line = ("policy \"%s\" at %s: %s"):format(decision.name, decision.at, decision.message)
    if decision.action == "deny" and not told[line] then -- several platforms may have one fault
      told[line] = true
      if first then others[#others + 1] = line else first = { decision = decision, line = line } end
    end
  end
  if not first then return end
  local decision = first.decision
  core.raise {
    kind = decision.error and "config" or "policy",
    message = (where ~= "" and where .. ": " or "") .. "denied by " .. first.line,
    hint = decision.fix, file = decision.file, line = decision.line,
    detail = #others > 0 and table.concat(others, "\n") or nil,
  }
end

-- ---- plan ---------------------------------------------------------------------------------------

-- Plan policies are asked target by target, before anything is built.
local function ask_plan_policies(plan)
  for i = 1, core.plan_count(plan) do
    local view = core.plan_view(plan, i)
    local decisions = core.ask("plan", view)
    core.plan_decided(plan, i, view, decisions)
    stop_on_deny(decisions, view.name)
  end
end

-- Policies at `dockerfile` and at `source`, about what the plan policies left.
local function ask_of_dockerfiles(plan, options, decided)
  if core.has_policies("dockerfile") then core.script("source").ask_dockerfiles(plan, decided, stop_on_deny) end
  if core.has_policies("source") then core.script("source").ask_sources(plan, options, decided, stop_on_deny) end
end

-- options: inputs ("none", "context"), resolve ("none", "try", "require"), stage, later (the digest is
-- computed while the builder works), changed (each target is compared with its last published image)
local function make_plan(wish, options)
  local plan = core.plan(wish)
  if core.has_policies("plan") then ask_plan_policies(plan) end
  ask_of_dockerfiles(plan, options, core.plan_decided)
  core.plan_finish(plan, options)
  return plan
end

-- A saved plan runs as it is, but not past a policy that denies it now: files can be edited, and the
-- organisation's policies cannot be switched off. What policies would change was changed when it was made.
local function ask_again(plan)
  ask_of_dockerfiles(plan, { stage = true }, function(_, _, view, decisions)
    core.decided(view.name, nil, decisions)
  end)
  if not core.has_policies("plan") then return end
  for i = 1, core.plan_count(plan) do
    local view = core.plan_view(plan, i)
    local name, decisions = view.name, core.ask("plan", view)
    core.decided(name, nil, decisions)
    stop_on_deny(decisions, name)
  end
end

-- Options of a plan that is built at once. To know what changed, all that decides an image is looked at first.
local function to_build(changed)
  return { inputs = changed and "context" or "none", resolve = changed and "try" or "none", stage = true,
           later = true, changed = changed }
end

-- `strake plan`: the plan is kept for the command, which prints or saves it.
function way.plan(args)
  local plan = make_plan(args.wish, args)
  core.plan_keep(plan)
end

-- ---- gate ---------------------------------------------------------------------------------------

-- What an image policy sees, once a platform.
local function policy_view(image, entry)
  return {
    ref = image.ref, repository = image.image, digest = entry.digest, platform = entry.platform,
    config = entry.config, layers = entry.layers, size_bytes = entry.size_bytes, target = image.name,
    tags = image.tags, packages = {}, moves = image.moves,
  }
end

-- What the tags of each image would do: a tag that does not exist is at `false`. What policies saw is then
-- what publishing goes by; with `kept` that is what was read while the images were built.
local function add_moves(images, kept)
  local refs = {}
  for _, image in ipairs(images) do
    for _, ref in ipairs(image.wanted) do refs[#refs + 1] = ref end
  end
  local now = core.tags_now { refs = refs, kept = kept }
  for _, image in ipairs(images) do
    image.moves = {}
    for i, ref in ipairs(image.wanted) do
      image.moves[i] = { ref = ref, tag = ref:match(":([^:/]+)$"), to = image.digest,
                         from = now[ref] ~= "" and now[ref] or false }
    end
  end
end

-- Of the platforms of an image those that are meant: all, unless it names some.
local function meant(image, platforms)
  if not image.platforms or #image.platforms == 0 or #platforms == 1 then return platforms end
  local wanted, list = {}, {}
  for _, platform in ipairs(image.platforms) do wanted[platform] = true end
  for _, entry in ipairs(platforms) do
    if wanted[entry.platform] then list[#list + 1] = entry end
  end
  return list
end

-- Each policy of `point` is asked about every platform of every image before anyone is denied, so that
-- one run tells all there is to mend. Where tags move, @return true: publish by what policies saw.
local function gate(point, images, kept)
  if not core.has_policies(point) then return kept end
  if point == "publish" or point == "retag" then add_moves(images, kept) end
  local all, where = {}, nil
  for _, image in ipairs(images) do
    for _, entry in ipairs(meant(image, core.inspect(image.ref).platforms)) do
      local decisions = core.ask(point, policy_view(image, entry))
      core.decided(image.name, entry.platform, decisions)
      for _, decision in ipairs(decisions) do
        all[#all + 1] = decision
        if decision.action == "deny" and not where then where = image.ref .. " " .. entry.platform end
      end
    end
  end
  stop_on_deny(all, where or "")
  return true
end

-- ---- build --------------------------------------------------------------------------------------

-- A staged target as flows see it: what was built, and where its tags shall point.
local function image_of(target, plan)
  target.tags = core.plan_tags(plan, target.name)
  target.wanted = core.plan_refs(plan, target.name)
  target.ref = target.digest and target.image .. "@" .. target.digest or false
  return target
end

-- One tag cannot show two images: told before anything is built, or else before anything moves.
local function refuse_shared_tags(owners, staged)
  local seen = {}
  for _, owner in ipairs(owners) do
    for _, ref in ipairs(owner.wanted) do
      local other = seen[ref]
      if other and staged and other.digest ~= owner.digest then
        core.raise { kind = "usage",
                     message = ("two images want the tag %s: %s and %s"):format(ref, other.ref, owner.ref),
                     hint = "publish one of them, or name the tags with -t, one image at a time" }
      elseif other and (not other.digest or other.digest ~= owner.digest) then
        core.raise { kind = "config",
                     message = ("the targets %s and %s both want the tag %s"):format(other.name, owner.name, ref),
                     hint = "give each its own tags or its own `image`" }
      end
      seen[ref] = owner
    end
  end
end

local function owners_of(plan)
  local owners = {}
  for i = 1, core.plan_count(plan) do
    local name = core.plan_view(plan, i).name
    owners[i] = { name = name, wanted = core.plan_refs(plan, name) }
  end
  return owners
end

-- The ledger of what moved. Most repositories keep none: then its script is not loaded, and git is not asked for
-- the commit of what was built here.
local function write_ledger(moves, kind, images)
  local options, of = { kind = kind, targets = {}, commits = {} }, {}
  for _, image in ipairs(images or {}) do
    for _, ref in ipairs(image.wanted) do
      options.targets[ref], of[ref] = image.name ~= "" and image.name or nil, image
    end
  end
  local kept = false
  for _, move in ipairs(moves) do
    if move.status == "done" and core.keeps_ledger(move.ref:match("^(.*):[^:/]+$"), options.targets[move.ref]) then
      local image = of[move.ref]
      options.commits[move.ref], kept = image and image.built and git.sha or nil, true
    end
  end
  if kept then core.script("ledger").write(moves, options) end
end

-- `result.moves` tells what became of each tag, also when one could not be moved.
local function publish_images(result, images, before, options)
  local tags, seen = {}, {}
  refuse_shared_tags(images, options.staged)
  for _, image in ipairs(images) do
    for _, ref in ipairs(image.wanted) do
      if not seen[ref] then tags[#tags + 1] = { ref = ref, source = image.image, digest = image.digest } end
      seen[ref] = true -- who names an image twice moves its tags once
    end
  end
  before = gate("publish", images, before) or false
  local failure
  result.moves, failure = core.publish(tags, before, options)
  if failure then core.raise(failure) end
  write_ledger(result.moves, "publish", images)
  for _, image in ipairs(images) do
    image.refs = image.wanted
    core.event("image.published", image.name,
               { image = image.image, digest = image.digest, refs = image.refs, target = image.name })
  end
end

local function staged_images(result, plan)
  local images = {}
  for _, target in ipairs(result.targets) do
    if target.digest then
      local image = image_of(target, plan)
      image.built = true
      images[#images + 1] = image
    end
  end
  return images
end

-- What `strake build` does after the builders are through: the result is told in any case.
local function finish_build(result, plan, args)
  local images = staged_images(result, plan)
  if result.error or args.output ~= "push" then
    if not result.error and args.output == "stage" then gate("image", images) end
    return
  end
  gate("image", images)
  publish_images(result, images, result.before, { force = args.force })
end

-- `strake build`: returns the result, with `error` in it when something failed after planning.
function way.build(args)
  local plan
  if args.plan then
    plan = core.plan_load(args.plan, { changed = args.changed })
    ask_again(plan)
  else
    plan = make_plan(args.wish, to_build(args.changed))
  end
  core.plan_keep(plan)
  if args.output == "push" then refuse_shared_tags(owners_of(plan)) end
  core.say_builder(plan)
  local result = core.build(plan, args)
  local ok, failure = pcall(finish_build, result, plan, args)
  if not ok then
    result.error = core.error_table(failure)
    result.status = result.error.kind == "policy" and "denied"
      or result.error.kind == "cancelled" and "cancelled" or "failed"
  end
  result.before = nil
  for _, target in ipairs(result.targets) do
    target.tags, target.wanted, target.ref, target.built = nil, nil, nil, nil
  end
  return result
end

-- ---- what flows call ------------------------------------------------------------------------------

local flow_keys = { tags = true, args = true, labels = true, platforms = true, no_cache = true,
                    stage = true, builder = true, changed = true }

-- What a flow holds in its hands -> the image that it stands for. A flow may do with its table what it
-- likes: policies are asked about, and tags move to, what was built here.
local built = setmetatable({}, { __mode = "k" })

local function hand_out(image)
  local copy = {}
  for key, value in pairs(image) do copy[key] = value end
  copy.tags, copy.wanted = { table.unpack(image.tags) }, { table.unpack(image.wanted) }
  built[copy] = image
  return copy
end

-- Tags of tags.metadata bring labels and annotations along, behind what the flow says itself.
local function take_kept(wish)
  local kept = wish.tags ~= nil and core.tags_kept(wish.tags)
  if not kept then return end
  wish.tags = { table.unpack(wish.tags) }
  local labels = {}
  for _, more in ipairs { kept.labels or {}, wish.labels or {} } do
    for key, value in pairs(more) do labels[key] = value end
  end
  wish.labels, wish.annotations = labels, kept.annotations
end

-- build(NAME, { tags = …, args = …, platforms = …, changed = true }) -> image; build({ A, B }) -> image, image
local function flow_build(names, options)
  local wish = { names = {} }
  for i, name in ipairs(type(names) == "table" and names or { names }) do
    wish.names[i] = core.target_name(name) or name -- target "app" stands for its name
  end
  for key, value in pairs(options or {}) do
    if not flow_keys[key] then
      core.raise { kind = "config", message = "build has no option '" .. tostring(key) .. "'",
                   hint = "tags, args, labels, platforms, stage, builder, no_cache, changed" }
    end
    if key ~= "changed" then wish[key] = value end
  end
  take_kept(wish)
  local plan = make_plan(wish, to_build(options and options.changed and true))
  core.say_builder(plan)
  local result = core.build(plan, { output = "stage" })
  if result.error then core.raise(result.error) end
  local images, chosen = {}, {}
  for _, image in ipairs(staged_images(result, plan)) do images[image.name] = image end
  gate("image", staged_images(result, plan))
  for i, name in ipairs(wish.names) do chosen[i] = images[name] and hand_out(images[name]) end
  return table.unpack(chosen)
end

-- publish(image, …): the tags of all of them move as one unit.
local function flow_publish(...)
  local given, images, result = { ... }, {}, {}
  for i = 1, math.max(select("#", ...), 1) do
    images[i] = given[i] ~= nil and built[given[i]]
    if not images[i] then
      core.raise { kind = "config",
                   message = "publish: argument " .. i .. " is not an image that build() returned" }
    end
  end
  publish_images(result, images, false, {})
  for i, image in ipairs(images) do rawset(given[i], "refs", image.refs) end
  return result.moves
end

-- notify { title = …, message = …, to = …, priority = …, tags = …, click = … }
local function flow_notify(message)
  if type(message) == "string" then message = { message = message } end
  core.notify(message)
end

-- `strake run`: a flow by its name, with its arguments checked.
function way.run(args)
  return core.run_flow(args.flow, args.args)
end

-- ---- small commands -------------------------------------------------------------------------------

-- `strake publish --settle`, and what comes before every command that publishes.
function way.settle(args)
  local units, failure = core.settle(args)
  for _, unit in ipairs(units) do
    if unit.outcome == "done" then
      core.script("ledger").write(unit.moves, { kind = unit.kind, run = unit.run })
    end
  end
  return { units = units, error = failure }
end

-- A command that moves tags tells what became of each, whatever happened.
local function told(result, step)
  local ok, failure = pcall(step)
  if not ok then result.error = core.error_table(failure) end
  return result
end

-- The last image staged here, or --digest, of each target that is named.
local function images_of_targets(args)
  local plan, images = make_plan(args.wish, to_build(false)), {}
  for i = 1, core.plan_count(plan) do
    local view = core.plan_view(plan, i)
    local digest = args.digest or core.last_staged(view.image)
    images[i] = image_of({ name = view.name, image = view.image, digest = digest, refs = {} }, plan)
  end
  return images
end

-- What another run staged: args.staged has { image, digest, tag, name } of references and { run } of runs.
local function images_of_runs(args)
  local images, names = {}, {}
  for _, entry in ipairs(args.staged) do
    for _, image in ipairs(entry.run and core.staged(entry.run) or { entry }) do
      images[#images + 1] = { name = image.name or "", image = image.image, digest = image.digest, tag = image.tag,
                              refs = {}, run = entry.run }
    end
  end
  for _, image in ipairs(images) do
    image.ref = image.image .. "@" .. image.digest
    local known = args.targets[image.name]
    if args.refs and #images > 1 then
      core.raise { kind = "usage", message = "-t names the tags of one image, and there are " .. #images,
                   hint = "publish them one by one, or leave -t away" }
    elseif args.refs or image.tag or known and not core.has_policies("plan") then
      image.wanted = args.refs or image.tag and { image.image .. ":" .. image.tag } or known
      image.tags = {}
      for i, ref in ipairs(image.wanted) do image.tags[i] = ref:match(":([^:/]+)$") end
    elseif not known then
      core.raise { kind = "usage", hint = "name them with -t REF",
                   message = ("no target has the image %s: which tags shall it get?"):format(image.image) }
    else
      names[#names + 1] = image.name
    end
  end
  if #names > 0 then
    args.wish.names = names
    local plan = make_plan(args.wish, to_build(false))
    for _, image in ipairs(images) do
      if not image.wanted then image_of(image, plan) end
    end
  end
  for _, image in ipairs(images) do
    if #image.wanted == 0 then
      core.raise { kind = "usage", hint = "name them with -t REF",
                   message = ("target %s has no tags: which ones shall %s get?"):format(image.name, image.ref) }
    end
  end
  return images
end

-- `strake publish`: the tags of a target move to its image, or to what is named. What another job staged is
-- gated here as it would have been there.
function way.publish(args)
  local result = { moves = {}, targets = {} }
  return told(result, function()
    if args.staged then
      result.targets = images_of_runs(args)
      gate("image", result.targets)
    else
      result.targets = images_of_targets(args)
    end
    publish_images(result, result.targets, false, { force = args.force, staged = args.staged and true })
  end)
end

-- `strake image tag SRC DST…`
function way.retag(args)
  local result = { moves = {} }
  return told(result, function()
    local repository = core.repository(args.source)
    local tags, failure = {}
    result.digest = core.take(args.source)
    local before = gate("retag", { { name = "", image = repository, tags = args.refs, wanted = args.refs,
                                     digest = result.digest, ref = args.source } }) or false
    for i, ref in ipairs(args.refs) do tags[i] = { ref = ref, source = repository, digest = result.digest } end
    result.moves, failure = core.publish(tags, before, { force = args.force, kind = "tag" })
    if failure then core.raise(failure) end
    write_ledger(result.moves, "tag")
  end)
end

-- `strake image copy SRC DST`: policies are asked before anything is copied, about what the source is then. The
-- tag moves last, as a unit of its own; an archive has none to move.
function way.copy(args)
  local result = { moves = {} }
  return told(result, function()
    local before = false
    if core.has_policies("retag") then
      local look = core.copy_look(args)
      if look.ref then
        before = gate("retag", { { name = "", image = look.repository, tags = { look.ref }, wanted = { look.ref },
                                   digest = look.digest, ref = look.source, platforms = args.platforms } })
        args.source = look.source
      end
    end
    for key, value in pairs(core.copy(args)) do result[key] = value end
    if not result.ref then return end
    local failure
    result.moves, failure = core.publish({ { ref = result.ref, source = result.repository, digest = result.digest } },
                                         before or false, { force = args.force, kind = "tag" })
    if failure then core.raise(failure) end
    core.script("ledger").write(result.moves, { kind = "tag" })
  end)
end

-- `strake rollback`
function way.rollback(args)
  local result = { moves = {}, kept = {}, images = {} }
  return told(result, function() core.script("rollback").run(args, result, gate) end)
end

-- `strake image delete`
function way.delete(args)
  local result = { deleted = {}, manifests = {}, kept = {} }
  return told(result, function() core.script("delete").run(args, result, gate) end)
end

-- `strake history --remote`
function way.remote_history(args)
  local result = { moves = {}, ends = {}, skipped = {}, more = false }
  core.script("ledger").history(args, result)
  return result
end

-- `strake tags`
function way.tags(args)
  return core.script("tags/explain").tags(args)
end

-- `strake notify`
function way.notify(args)
  core.notify(args)
  return core.flush(true)
end

way.globals = { build = flow_build, publish = flow_publish, notify = flow_notify }

return way
