-- What a rule sees of a Dockerfile: the plain tables of core.dockerfile() with their methods.
--
--   file      .path .escape .syntax .stages .instructions .comments; file:each(KEYWORD, …), file:line(n)
--   stage     .name .base .image .platform .index .final .kept .from .instructions .parent; stage:each(KEYWORD, …)
--   instruction  .keyword .line .end_line .args .flags .pairs .heredocs .commands .stage .file;
--                :flag(NAME), :mounts(), :calls(PROGRAM[, SUBCOMMANDS]), :each_call(PROGRAM[, SUBCOMMANDS])
--   command   .name .args .words .op .piped .redirects; :is(PROGRAM[, SUBCOMMANDS]), :flag(OPTION, …),
--             :option(OPTION, …), :operands(), .subcommand

local programs = core.script("check/programs")

local objects = {}

-- ---- commands -------------------------------------------------------------------------------------

local Command = {}

-- The command behind sudo, env and their like: index of its name among the words.
local function unwrap(words)
  local at = 1
  while words[at] do
    local wrapper = programs.wrappers[words[at]:match("[^/]*$")]
    if not wrapper then break end
    at = at + 1
    while words[at] and (words[at]:find("^%-") or (wrapper.assignments and words[at]:find("^[%a_][%w_]*="))) do
      at = at + (wrapper.values[words[at]] and 2 or 1)
    end
  end
  return words[at] and at or 1
end

-- What people call it: pip3.11 and `python3 -m pip` are pip.
local function name_command(command)
  local words = command.words
  local at = unwrap(words)
  local name = (words[at] or ""):match("[^/]*$")
  if name:find("^python[%d.]*$") and words[at + 1] == "-m" and words[at + 2] then
    at = at + 2
    name = words[at]
  end
  rawset(command, "name", programs.aliases[name] or name:match("^(pip)[%d.]+$") or name)
  rawset(command, "args", table.move(words, at + 1, #words, 1, {}))
end

-- The first argument that is neither an option nor an option's value.
local function find_subcommand(command)
  local values = programs.values[command.name] or {}
  local args, at = command.args, 1
  while args[at] and args[at]:find("^%-") do
    at = at + (values[args[at]] and 2 or 1)
  end
  rawset(command, "subcommand", args[at] or "")
  rawset(command, "subcommand_at", args[at] and at or #args + 1)
end

local function same(value, wanted)
  if type(wanted) == "string" then return value == wanted end
  for _, one in ipairs(wanted) do
    if value == one then return true end
  end
  return false
end

function Command:is(program, subcommands)
  return same(self.name, program) and (subcommands == nil or same(self.subcommand, subcommands))
end

-- Is one of these options given? `-y` is also found in `-qy`.
function Command:flag(...)
  for _, option in ipairs { ... } do
    local letter = option:match("^%-(%a)$")
    for _, arg in ipairs(self.args) do
      if arg == option or arg:sub(1, #option + 1) == option .. "=" then return true end
      if letter and arg:find("^%-%a+$") and arg:find(letter, 2, true) then return true end
    end
  end
  return false
end

-- The value of an option: `--name value` or `--name=value`. Nil when it is not given.
function Command:option(...)
  for _, option in ipairs { ... } do
    for at, arg in ipairs(self.args) do
      if arg == option then return self.args[at + 1] or "" end
      if arg:sub(1, #option + 1) == option .. "=" then return arg:sub(#option + 2) end
    end
  end
  return nil
end

-- The arguments behind the subcommand that are neither options nor their values.
function Command:operands()
  local values = programs.values[self.name] or {}
  local found, at = {}, self.subcommand_at + 1
  local only = false -- behind `--`
  while self.args[at] do
    local arg = self.args[at]
    if arg == "--" and not only then
      if self.name == "gem" then break end -- what follows is for the extension's build
      only = true
    elseif not only and arg:find("^%-.") then
      at = at + (values[arg] and 1 or 0)
    else
      found[#found + 1] = arg
    end
    at = at + 1
  end
  return found
end

local command_meta = {
  __index = function(command, key)
    local method = Command[key]
    if method then return method end
    if key == "name" or key == "args" then
      name_command(command)
      return rawget(command, key)
    end
    if key == "subcommand" or key == "subcommand_at" then
      find_subcommand(command)
      return rawget(command, key)
    end
    return nil
  end,
  __metatable = false,
}

-- ---- instructions ---------------------------------------------------------------------------------

local Instruction = {}

-- The value of `--NAME=VALUE`, true for `--NAME`, nil when it is not given.
function Instruction:flag(name)
  for _, flag in ipairs(self.flags) do
    local key, value = flag:match("^%-%-([^=]+)=?(.*)$")
    if key == name then return flag:find("=", 1, true) and value or true end
  end
  return nil
end

-- Its --mount flags: { type, target, source, id, … } each.
function Instruction:mounts()
  local mounts = {}
  for _, flag in ipairs(self.flags) do
    local text = flag:match("^%-%-mount=(.*)$")
    if text then
      local mount = { type = "bind" }
      for key, value in text:gmatch("([^=,]+)=?([^,]*)") do
        local canonical = programs.mount_keys[key] or key
        mount[canonical] = value
      end
      mounts[#mounts + 1] = mount
    end
  end
  return mounts
end

local none = {}

-- Its commands by their names: most rules ask for what is not there.
local function by_name(instruction)
  local found = rawget(instruction, "programs")
  if found then return found end
  found = {}
  for _, command in ipairs(instruction.commands or none) do
    local name = command.name
    local list = found[name]
    if list then list[#list + 1] = command else found[name] = { command } end
  end
  rawset(instruction, "programs", found)
  return found
end

-- The commands of these names and subcommands, in their order.
local function all_calls(instruction, program, subcommands)
  local programs_here = by_name(instruction)
  if type(program) == "string" then
    local list = programs_here[program]
    if not list or not subcommands then return list or none end
    program = { program }
  end
  local any = false
  for _, name in ipairs(program) do any = any or programs_here[name] ~= nil end
  if not any then return none end
  local found = {}
  for _, command in ipairs(instruction.commands) do
    if command:is(program, subcommands) then found[#found + 1] = command end
  end
  return found
end

-- The first command of that name (and subcommand), or nil.
function Instruction:calls(program, subcommands)
  return all_calls(self, program, subcommands)[1]
end

-- for command in run:each_call("zypper", "install") do … end
function Instruction:each_call(program, subcommands)
  local list, at = all_calls(self, program, subcommands), 0
  return function()
    at = at + 1
    return list[at]
  end
end

-- The names of the programs that it calls, as a table's keys.
function Instruction:programs_called()
  return by_name(self)
end

local instruction_meta = { __index = Instruction, __metatable = false }

-- ---- stages and the file --------------------------------------------------------------------------

local Stage = {}

-- for run in stage:each "RUN" do … end; without a keyword all of them
local function each(self, keyword, ...)
  local list, at = self.instructions, 0
  if keyword and not ... then
    list = self.keywords[keyword] or none
  elseif keyword then
    local wanted = { [keyword] = true }
    for _, one in ipairs { ... } do wanted[one] = true end
    return function()
      repeat at = at + 1 until not list[at] or wanted[list[at].keyword]
      return list[at]
    end
  end
  return function()
    at = at + 1
    return list[at]
  end
end

-- Sort instructions by keyword, once for all rules.
local function index(self)
  self.keywords = {}
  for _, instruction in ipairs(self.instructions) do
    local list = self.keywords[instruction.keyword]
    if list then list[#list + 1] = instruction else self.keywords[instruction.keyword] = { instruction } end
  end
end

Stage.each = each

local stage_meta = { __index = Stage, __metatable = false }

local File = { each = each }

-- The text of a line, without its end; "" behind the last one.
function File:line_text(number)
  if not self.lines then
    local lines, text, at = {}, self.text, 1
    while at <= #text do
      local newline = text:find("\n", at, true) or #text + 1
      local last = text:byte(newline - 1) == 13 and newline - 2 or newline - 1 -- a carriage return before it
      lines[#lines + 1] = text:sub(at, last)
      at = newline + 1
    end
    rawset(self, "lines", lines)
  end
  return self.lines[number] or ""
end

local file_meta = { __index = File, __metatable = false }

-- ---- putting it together --------------------------------------------------------------------------

local function adopt(instruction, file, stage)
  instruction.file, instruction.stage = file, stage
  for at, command in ipairs(instruction.commands or {}) do
    command.instruction, command.index = instruction, at
    local nextone = instruction.commands[at + 1]
    command.piped = nextone ~= nil and nextone.op == "|" and nextone.depth == command.depth
    setmetatable(command, command_meta)
  end
  if instruction.onbuild then
    instruction.onbuild.is_onbuild = true
    adopt(instruction.onbuild, file, stage)
  end
  return setmetatable(instruction, instruction_meta)
end

-- ARG before the first FROM: what variables of FROM are worth by default.
local function global_arguments(file)
  local values = {}
  for _, instruction in ipairs(file.instructions) do
    if instruction.stage_index >= 0 then break end
    for _, word in ipairs(instruction.keyword == "ARG" and instruction.args or {}) do
      local name, default = word:match("^([^=]+)=(.*)$")
      local value, missing
      if name then value, missing = core.expand(default, values, file.escape) end
      if value and not missing then values[name] = value end
    end
  end
  return values
end

local function link_stages(file, values)
  local named = {}
  for number, stage in ipairs(file.stages) do
    stage.index, stage.file, stage.instructions = number, file, {}
    stage.final = number == #file.stages
    stage.end_line, stage.column = stage.line, 1
    stage.parent = named[stage.base]
    local image, missing = core.expand(stage.base, values, file.escape)
    stage.image = image and not missing and image or nil
    stage.parent = stage.parent or (stage.image and named[stage.image])
    if stage.name ~= "" then named[stage.name] = stage end
    setmetatable(stage, stage_meta)
  end
  -- What the last stage is built on is in the image, too.
  local at = file.stages[#file.stages]
  while at do
    at.kept = true
    at = at.parent
  end
end

-- A file without FROM has a finding of its own; what stands in it is checked all the same.
local function nameless_stage(file)
  return setmetatable({ name = "", base = "", platform = "", line = 1, end_line = 1, column = 1, index = 1,
      final = true, kept = true,
                        file = file, instructions = {} }, stage_meta)
end

-- The tables of core.dockerfile() as rules see them.
function objects.adopt(file, path, text)
  file.path, file.text = path, text
  setmetatable(file, file_meta)
  link_stages(file, global_arguments(file))
  if #file.stages == 0 then file.nameless = nameless_stage(file) end
  for _, instruction in ipairs(file.instructions) do
    local stage = file.stages[instruction.stage_index + 1] or file.nameless
    adopt(instruction, file, stage)
    if stage then
      table.insert(stage.instructions, instruction)
      if instruction.keyword == "FROM" then stage.from = instruction end
    end
  end
  index(file)
  for _, stage in ipairs(file.nameless and { file.nameless } or file.stages) do index(stage) end
  return file
end

return objects
