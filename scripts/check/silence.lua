-- Comments that silence findings:
--
--   # strake ignore=RULE[,RULE] [until=2027-01-31] REASON…      the instruction below
--   # hadolint ignore=DL3006[,DL3008]                            the instruction below
--   # hadolint global ignore=… | # hadolint stage ignore=…       the file; the stage
--   # check=skip=RULE[,RULE] | # check=skip=all                  the file, as BuildKit reads it
--
-- A silenced finding stays in the list, with who waived it.

local silence = {}

local function split(text)
  local names = {}
  for name in text:gmatch("[^,%s]+") do names[#names + 1] = name end
  return names
end

local function matches(finding, names)
  for _, name in ipairs(names) do
    if name == "all" or name == finding.rule then return true end
    for _, alias in ipairs(finding.aliases or {}) do
      if alias == name then return true end
    end
  end
  return false
end

-- The instruction that begins behind a line, or nil.
local function instruction_below(file, line)
  for _, instruction in ipairs(file.instructions) do
    if instruction.line > line then return instruction end
  end
  return nil
end

local function complain(found, line, rule, message, fix)
  found[#found + 1] = { rule = rule, severity = "warning", file = found.path, line = line, message = message,
      fix = fix }
end

local function is_known(list, name)
  for _, rule in ipairs(list) do
    if rule.name == name then return true end
    for _, alias in ipairs(rule.aliases or {}) do
      if alias == name then return true end
    end
  end
  return false
end

-- # strake ignore=RULE[,RULE] [until=DATE] REASON…
local function read_ours(file, comment, waivers, extra, list)
  local names, rest = comment.text:match("^#%s*strake%s+ignore=(%S+)%s*(.*)$")
  if not names then return end
  local till, reason = rest:match("^until=(%S+)%s*(.*)$")
  reason = reason or rest
  for _, name in ipairs(split(names)) do
    if not is_known(list, name) then
      complain(extra, comment.line, "ignore-unknown", ("there is no rule '%s' to ignore"):format(name))
    end
  end
  if till and not till:find("^%d%d%d%d%-%d%d%-%d%d$") then
    complain(extra, comment.line, "ignore-without-reason", ("until=%s is no date"):format(till),
        "write until=2027-01-31")
    return
  end
  if reason == "" then
    complain(extra, comment.line, "ignore-without-reason", "a finding is ignored without a reason",
             "say why behind the rule's name")
    return
  end
  if till and till < core.today() then
    complain(extra, comment.line, "ignore-expired", ("what was ignored until %s counts again"):format(till))
    return
  end
  local below = instruction_below(file, comment.line)
  if below then
    waivers[#waivers + 1] = { names = split(names), from = below.line, to = below.end_line,
                              waived = { reason = reason, ["until"] = till } }
  end
end

-- # hadolint [global|stage] ignore=…
local function read_hadolint(file, comment, waivers)
  local scope, names = comment.text:match("^#%s*hadolint%s+(%a*)%s*ignore%s*=%s*(.+)$")
  if not scope then return end
  local waiver = { names = split(names), waived = { reason = "hadolint ignore" } }
  local below = instruction_below(file, comment.line)
  if scope == "global" then
    waiver.from, waiver.to = 0, math.maxinteger
  elseif scope == "stage" and below and below.stage then
    local following = file.stages[below.stage.index + 1]
    waiver.from, waiver.to = below.stage.line, following and following.line - 1 or math.maxinteger
  elseif scope == "" and below then
    waiver.from, waiver.to = below.line, below.end_line
  else
    return
  end
  waivers[#waivers + 1] = waiver
end

-- # check=skip=A,B;error=true
local function read_directive(file, waivers)
  for part in file.check:gmatch("[^;]+") do
    local names = part:match("^%s*skip=(.*)$")
    if names then
      waivers[#waivers + 1] = { names = split(names), from = 0, to = math.maxinteger, only = "buildkit",
                                waived = { reason = "# check=skip" } }
    end
  end
end

-- The findings with what is waived marked, and those about the comments themselves.
function silence.apply(file, found, list)
  local waivers, extra = {}, { path = file.path }
  for _, comment in ipairs(file.comments) do
    read_ours(file, comment, waivers, extra, list)
    read_hadolint(file, comment, waivers)
  end
  read_directive(file, waivers)
  for _, finding in ipairs(found) do
    for _, waiver in ipairs(waivers) do
      local line = finding.line or 0
      if line >= waiver.from and line <= waiver.to and matches(finding, waiver.names) then
        finding.waived = waiver.waived
        break
      end
    end
  end
  for _, finding in ipairs(extra) do found[#found + 1] = finding end
  return found
end

return silence
