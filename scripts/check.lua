-- strake check: Dockerfiles against the rules that ship (scripts/rules, one a file), and those of the
-- organisation, the user and the project. One call looks at a list of files; several calls of several
-- threads share the list out among themselves.

local objects = core.script("check/objects")
local silence = core.script("check/silence")

local check = {}

-- ---- the rules ------------------------------------------------------------------------------------

local rules -- by what they are asked about: keyword, "stage", "file" -> list

local function is_named(rule, name)
  if rule.name == name then return true end
  for _, alias in ipairs(rule.aliases or {}) do
    if alias == name then return true end
  end
  return false
end

-- What check { … } says of a rule; an inner layer does not take back what an outer one enabled.
local function settings_of(rule, options)
  local setting = { enabled = not rule.off, severity = rule.severity }
  local fixed = false
  for _, layer in ipairs(options) do
    local said = layer.options
    for _, name in ipairs(said.enable or {}) do
      if is_named(rule, name) then
        setting.enabled = true
        fixed = fixed or layer.layer == "organisation"
      end
    end
    for _, name in ipairs(said.disable or {}) do
      if is_named(rule, name) and not fixed and (rule.layer ~= "organisation" or layer.layer == "organisation") then
        setting.enabled = false
      end
    end
    for name, severity in pairs(said.severity or {}) do
      if is_named(rule, name) then setting.severity = severity end
    end
  end
  return setting
end

local known_options = {
  enable = "list", disable = "list", severity = "table", registries = "list", labels = "table",
  strict_labels = "boolean",
}
local severities = { error = 1, warning = 2, info = 3, style = 4 }

local function option_fails(layer, format, ...)
  core.fail("config", ("%s:%d: check: "):format(layer.file, layer.line) .. format:format(...))
end

local function find_rule(list, name)
  for _, rule in ipairs(list) do
    if is_named(rule, name) then return rule end
  end
  return nil
end

local function check_options(list)
  local options = core.check_options()
  for _, layer in ipairs(options) do
    for key, value in pairs(layer.options) do
      if not known_options[key] then option_fails(layer, "there is no option '%s'", tostring(key)) end
      local wanted = known_options[key] == "boolean" and "boolean" or "table"
      if type(value) ~= wanted then option_fails(layer, "%s must be a %s", key, wanted) end
    end
    for _, key in ipairs { "enable", "disable" } do
      for _, name in ipairs(layer.options[key] or {}) do
        if not find_rule(list, name) then option_fails(layer, "%s: there is no rule '%s'", key, tostring(name)) end
      end
    end
    for name, severity in pairs(layer.options.severity or {}) do
      if not find_rule(list, name) then option_fails(layer, "severity: there is no rule '%s'", tostring(name)) end
      if not severities[severity] then
        option_fails(layer, "severity: %s is \"error\", \"warning\", \"info\" or \"style\"", tostring(name))
      end
    end
  end
  return options
end

-- All that are declared, the ones that ship first.
local function declared()
  local teams = table.move(core.declared_rules(), 1, #core.declared_rules(), 1, {})
  for _, name in ipairs(core.shipped_rules()) do core.load_rule(name) end
  local all = core.declared_rules()
  local list = table.move(all, #teams + 1, #all, 1, {})
  for _, rule in ipairs(teams) do
    if find_rule(list, rule.name) then
      core.fail("config", ("%s:%d: there is a rule '%s' already"):format(rule.file, rule.line, rule.name),
                "give it another name; check { disable = … } switches one that ships off")
    end
    list[#list + 1] = rule
  end
  return list
end

local function file_under(lists, keys, rule)
  for _, key in ipairs(keys) do
    lists[key] = lists[key] or {}
    table.insert(lists[key], rule)
  end
end

local function load(args)
  if rules then return end
  local list = declared()
  local options = check_options(list)
  rules = { list = list, by = {}, by_program = {}, options = {} }
  for _, layer in ipairs(options) do
    for key, value in pairs(layer.options) do rules.options[key] = value end
  end
  for _, rule in ipairs(list) do
    local setting = settings_of(rule, options)
    rule.level = setting.severity
    if setting.enabled or args.all then
      if rule.calls then
        file_under(rules.by_program, rule.calls, rule)
      else
        file_under(rules.by, rule.on or { "stage" }, rule)
      end
    end
  end
end

-- ---- asking ---------------------------------------------------------------------------------------

local function place(finding, rule, path)
  finding.rule, finding.aliases, finding.severity, finding.file = rule.name, rule.aliases, rule.level, path
  return finding
end

-- The rule's own failure is told, and the others go on.
local function failed(failures, rule, path, message, file, line)
  for _, one in ipairs(failures) do
    if one.rule == rule.name then return end -- once is enough
  end
  failures[#failures + 1] = { rule = rule.name, message = message, file = file, line = line, checked = path }
end

local function ask(rule, subject, state)
  local before = #state.found
  if state.unprotected then
    rule.check(subject, rules.options)
  elseif rule.layer == "strake" then
    local ok, err = pcall(rule.check, subject, rules.options)
    if not ok then
      if type(err) == "table" and err.kind == "cancelled" then error(err, 0) end
      failed(state.failures, rule, state.path, type(err) == "table" and err.message
          or tostring(err), rule.file, rule.line)
    end
  else
    local message, file, line = core.run_rule(rule, subject)
    if message then failed(state.failures, rule, state.path, message, file, line) end
  end
  for at = before + 1, #state.found do place(state.found[at], rule, state.path) end
end

local function ask_all(file, state, teams)
  local function about(kind, subject)
    for _, rule in ipairs(rules.by[kind] or {}) do
      if (rule.layer ~= "strake") == teams then ask(rule, subject, state) end
    end
  end
  -- Rules that name the programs they are about are asked where one of them is called.
  local function about_programs(run)
    local asked = {}
    for program in pairs(run:programs_called()) do
      for _, rule in ipairs(rules.by_program[program] or {}) do
        if not asked[rule] and (rule.layer ~= "strake") == teams then
          asked[rule] = true
          ask(rule, run, state)
        end
      end
    end
  end
  about("file", file)
  for _, stage in ipairs(file.nameless and { file.nameless } or file.stages) do about("stage", stage) end
  for _, instruction in ipairs(file.instructions) do
    local inner = instruction.onbuild
    about(instruction.keyword, instruction)
    if instruction.keyword == "RUN" then about_programs(instruction) end
    if inner then about(inner.keyword, inner) end
    if inner and inner.keyword == "RUN" then about_programs(inner) end
  end
end

local function has_team_rules()
  for _, rule in ipairs(rules.list) do
    if rule.layer ~= "strake" then return true end
  end
  return false
end

local function syntax_finding(path, problem)
  return { rule = "syntax", severity = "error", file = path, line = math.max(problem.line, 1),
      message = problem.message,
           fix = problem.hint ~= "" and problem.hint or nil }
end

-- The order of lines, then of columns, then of rules.
local function earlier(a, b)
  if a.line ~= b.line then return (a.line or 0) < (b.line or 0) end
  if (a.column or 0) ~= (b.column or 0) then return (a.column or 0) < (b.column or 0) end
  if a.rule ~= b.rule then return a.rule < b.rule end
  return a.message < b.message
end

-- The lines that findings are at, for those who print them.
local function show_lines(found, text)
  local lines, number = {}, 0
  for _, finding in ipairs(found) do lines[finding.line or 0] = "" end
  if not next(lines) then return end
  for line in (text .. "\n"):gmatch("(.-)\r?\n") do
    number = number + 1
    if lines[number] then lines[number] = line end
  end
  for _, finding in ipairs(found) do finding.source = lines[finding.line or 0] end
end

local function check_text(path, text, state)
  state.text = text
  local file, problem = core.dockerfile(text, path)
  if not file then return { syntax_finding(path, problem) } end
  objects.adopt(file, path, text)
  state.path, state.unprotected = path, true
  -- All at once first: only where one of them fails each is asked for itself.
  state.found = {}
  core.collect(state.found)
  if not pcall(ask_all, file, state, false) then
    state.found, state.unprotected = {}, false
    core.collect(state.found)
    ask_all(file, state, false)
  end
  state.unprotected = false
  if has_team_rules() then -- theirs see what no other one had in its hands
    ask_all(objects.adopt(core.dockerfile(text, path), path, text), state, true)
  end
  local found = silence.apply(file, state.found, rules.list)
  table.sort(found, earlier)
  return found
end

local function check_path(path, state)
  local text, why = core.read_dockerfile(path)
  if not text then return { syntax_finding(path, { line = 1, message = why, hint = "" }) } end
  return check_text(path, text, state)
end

-- files { paths, text, all } -> { findings, failures }. `text` is what was read from standard input, whose
-- path is "-".
function check.files(args)
  load(args)
  core.unmetered()
  local findings, state = {}, { failures = {} }
  for _, path in ipairs(args.paths) do
    local found = path == "-" and check_text(path, args.text, state) or check_path(path, state)
    for _, finding in ipairs(found) do findings[#findings + 1] = finding end
    if args.source then show_lines(found, state.text) end
  end
  return { findings = findings, failures = state.failures }
end

-- rule { name } -> what is known of a rule
function check.rule(args)
  load(args)
  local rule = find_rule(rules.list, args.name)
  if not rule then
    return { known = (function()
      local names = {}
      for _, one in ipairs(rules.list) do names[#names + 1] = one.name end
      return names
    end)() }
  end
  return { name = rule.name, aliases = rule.aliases, severity = rule.level, summary = rule.summary,
      reason = rule.reason,
           bad = rule.bad, good = rule.good, off = rule.off or false, layer = rule.layer }
end

-- rules {} -> all of them, for the list and docs/rules.md
function check.rules(args)
  load(args)
  local list = {}
  for _, rule in ipairs(rules.list) do list[#list + 1] = check.rule { name = rule.name, all = args.all } end
  return { rules = list }
end

return check
