-- `strake tags`: the tags of a target now, and with --explain which rule gave or withheld each.

local explain = {}

local function has(list, text)
  for _, entry in ipairs(list) do
    if entry == text then return true end
  end
  return false
end

-- What was done to the list after the rules had made it.
local function add_changes(rules, list)
  local given = {}
  for _, rule in ipairs(rules) do
    if rule.tag and not has(list, rule.tag) then
      rule.tag, rule.why = nil, "taken out of the list"
    elseif rule.tag then
      given[#given + 1] = rule.tag
    end
  end
  for _, tag in ipairs(list) do
    if not has(given, tag) then rules[#rules + 1] = { rule = tag, tag = tag, why = "written in strake.lua" } end
  end
end

-- "takes away latest, adds stable"
local function difference(before, after)
  local words = {}
  for _, tag in ipairs(before) do
    if not has(after, tag) then words[#words + 1] = "takes away " .. tag end
  end
  for _, tag in ipairs(after) do
    if not has(before, tag) then words[#words + 1] = "adds " .. tag end
  end
  return #words > 0 and table.concat(words, ", ") or "puts them in another order"
end

-- What policies at `plan` make of the tags: each that says something of them is a rule as well.
local function add_policies(rules, name)
  local plan = core.plan { names = { name } }
  for i = 1, core.plan_count(plan) do
    local view = core.plan_view(plan, i)
    if view.name == name then
      local before = { table.unpack(view.tags) }
      for _, decision in ipairs(core.ask("plan", view)) do
        local rule = { rule = ("policy \"%s\""):format(decision.name), file = decision.file, line = decision.line }
        if decision.action == "deny" then
          rule.why = "denies: " .. decision.message
          rules[#rules + 1] = rule
        elseif decision.action == "change" and decision.message:find("tags", 1, true) then
          rule.why = difference(before, view.tags)
          rules[#rules + 1] = rule
        end
      end
    end
  end
end

-- args: target, explain
function explain.tags(args)
  local list, kept = core.target_tags(args.target)
  local result = {
    tags = list, version = kept and kept.version or list[1] or "", now_ms = core.now(),
    revision = env.GITHUB_ACTIONS == "true" and env.GITHUB_SHA or git.sha or nil,
  }
  if not args.explain then return result end
  local rules = {}
  for i, rule in ipairs(kept and kept.explain() or {}) do
    rules[i] = { rule = rule.rule, tag = rule.tag, why = rule.why }
  end
  add_changes(rules, list)
  if core.has_policies("plan") then
    local ok, failure = pcall(add_policies, rules, args.target)
    if not ok then
      rules[#rules + 1] = { rule = "policies at plan", why = "not asked: " .. core.error_table(failure).message }
    end
  end
  result.rules = rules
  return result
end

return explain
