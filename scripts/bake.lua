-- Bake files: `buildx bake --print` says what a file means, and each of its targets becomes one of ours.
--
--   local images = bake.import("docker-bake.hcl", { variables = { TAG = git.short_sha } })
--   target "all" { after = images.default, … }
--
-- Gives a table: the name of a target -> its handle, the name of a group -> the names of its targets.
-- What each attribute becomes is said in bake_target.lua.

local bake = {}

local option_names = "targets, variables, set, without and default"

-- A mistake in the call: told with the place in the team's file.
local function wrong(format, ...)
  core.fail("config", "bake.import: " .. format:format(...))
end

-- A text that goes to a command line.
local function check_text(text, what)
  if type(text) ~= "string" then wrong("%s must be a text, got a %s", what, type(text)) end
  if text == "" or text:find("%c") then wrong("%s is empty or has a control character", what) end
  return text
end

-- A text, or a list of them.
local function texts_of(value, what)
  if type(value) == "string" then return { check_text(value, what) } end
  if type(value) ~= "table" then wrong("%s must be a text or a list of texts, got a %s", what, type(value)) end
  local list = {}
  for i = 1, rawlen(value) do list[i] = check_text(rawget(value, i), what) end
  return list
end

local function sorted_keys(map)
  local keys = {}
  for key in next, map do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- ---- what is asked for ----------------------------------------------------------------------------

local function read_files(value)
  local files = texts_of(value, "the name of a bake file")
  if #files == 0 then wrong("a bake file is needed") end
  for _, file in ipairs(files) do
    if file:sub(1, 1) == "-" or not fs.exists(file) then
      core.raise { kind = "config", message = "there is no bake file " .. file,
                   hint = "the path begins at the folder of strake.lua and stays below it" }
    end
  end
  return files
end

local function read_names(value)
  local names = texts_of(value, "`targets`")
  for _, name in ipairs(names) do
    if not name:find("^[%w_.*?%[%]^][%w_.*?%[%]^-]*$") then
      wrong("`targets`: '%s' is not the name of a target", name)
    end
  end
  if #names == 0 then wrong("`targets` names none") end
  return names
end

-- A value as bake reads it from the environment and from --set.
local function plain(value, what)
  local kind = type(value)
  if kind == "number" or kind == "boolean" then return tostring(value) end
  if kind ~= "string" then wrong("%s must be a text, a number or a boolean, got a %s", what, kind) end
  if value:find("[%z\n\r]") then wrong("%s has a NUL or a newline", what) end
  return value
end

-- { NAME = VALUE } -> a list of NAME=VALUE
local function read_variables(value)
  local list = {}
  if type(value) ~= "table" then wrong("`variables` must be a table: NAME = VALUE") end
  for _, name in ipairs(sorted_keys(value)) do
    if type(name) ~= "string" or not name:find("^[%a_][%w_]*$") then
      wrong("`variables`: '%s' is not the name of a variable", tostring(name))
    end
    list[#list + 1] = name .. "=" .. plain(rawget(value, name), "`variables`: " .. name)
  end
  return list
end

-- { ["app.tags"] = VALUE or a list of them } -> --set words
local function read_set(value)
  local words = {}
  if type(value) ~= "table" then wrong("`set` must be a table: [\"TARGET.KEY\"] = VALUE") end
  for _, key in ipairs(sorted_keys(value)) do
    if type(key) ~= "string" or not key:find("^[^=%c.]+%.[^=%c]+$") then
      wrong("`set`: '%s' is not TARGET.KEY", tostring(key))
    end
    local given = rawget(value, key)
    if type(given) ~= "table" then given = { given } end
    for i = 1, rawlen(given) do
      words[#words + 1] = "--set=" .. key .. "=" .. plain(rawget(given, i), "`set`: " .. key)
    end
  end
  return words
end

local function read_request(file, options)
  local request = { files = read_files(file), variables = {}, set = {}, without = {}, default = true }
  if options ~= nil and type(options) ~= "table" then wrong("the options must be a table, got a %s", type(options)) end
  for key, value in next, options or {} do
    if key == "targets" then request.names = read_names(value)
    elseif key == "variables" then request.variables = read_variables(value)
    elseif key == "set" then request.set = read_set(value)
    elseif key == "without" then
      for _, attribute in ipairs(texts_of(value, "`without`")) do request.without[attribute] = true end
    elseif key == "default" and type(value) == "boolean" then request.default = value
    elseif key == "default" then wrong("`default` must be true or false")
    else wrong("unknown option '%s'; there are %s", tostring(key), option_names) end
  end
  return request
end

-- ---- asking buildx ----------------------------------------------------------------------------------

-- What buildx said last, its place apart: "ERROR: docker-bake.hcl:2,13-17: Unknown variable; …"
local function told(errors)
  local message
  for line in errors:gmatch("[^\n]+") do
    local text = line:match("^ERROR: (.+)")
    message = text or message
  end
  message = message or errors:match("([^\n]+)%s*$") or "buildx said nothing"
  local file, line, rest = message:match("^(.-):(%d+),[%d,-]+: (.*)$")
  if file then return rest, file, tonumber(line) end
  for number in message:gmatch("line (%d+)") do line = number end -- of YAML, the last one is the place
  return message, nil, tonumber(line)
end

local function refuse(request, errors)
  local message, file, line = told(errors)
  local files, hint = table.concat(request.files, " and "), nil
  if errors:find("unknown flag: --list", 1, true) then
    hint = "this buildx cannot list what a file has: install a newer one, or name what you want: "
      .. "bake.import(FILE, { targets = { … } })"
  elseif message:find("failed to find target", 1, true) then
    hint = "`buildx bake --list targets` in the folder of strake.lua shows what there is"
  elseif message:find("ssh agent", 1, true) then
    hint = "a target wants an SSH agent, and none runs: start one, or leave it out with "
      .. "set = { [\"TARGET.ssh\"] = \"\" }"
  end
  core.raise { kind = "config", message = ("buildx bake refuses %s: %s"):format(files, message), hint = hint,
               file = file or (#request.files == 1 and request.files[1]) or nil, line = line,
               detail = errors:gsub("%s+$", "") }
end

local function ask(request, more)
  local words = { "--progress=quiet" }
  for _, file in ipairs(request.files) do words[#words + 1] = "--file=" .. file end
  for _, word in ipairs(more) do words[#words + 1] = word end
  local value, errors = core.bake(words, request.variables)
  if value == nil then refuse(request, errors) end
  return value
end

local function odd(request, what)
  core.raise { kind = "config", file = #request.files == 1 and request.files[1] or nil,
               message = "buildx bake printed what Strake does not understand: " .. what,
               hint = "this buildx may be newer than this Strake" }
end

local function print_targets(request, names)
  local words = { table.unpack(request.set) }
  words[#words + 1] = "--print"
  words[#words + 1] = "--"
  for _, name in ipairs(names) do words[#words + 1] = name end
  local document = ask(request, words)
  if type(document) ~= "table" or type(document.target) ~= "table" then odd(request, "there is no `target`") end
  document.group = document.group or {}
  for key in pairs(document) do
    if key ~= "target" and key ~= "group" then odd(request, "'" .. key .. "'") end
  end
  for name, group in pairs(document.group) do
    if type(group) ~= "table" or type(group.targets) ~= "table" then odd(request, "the group " .. name) end
  end
  for name, entry in pairs(document.target) do
    if type(entry) ~= "table" then odd(request, "the target " .. name) end
  end
  return document
end

-- Does the document have all that the list names?
local function covers(document, list)
  for _, entry in ipairs(list) do
    if not document.target[entry.name] and not document.group[entry.name] then return false end
  end
  return true
end

-- The document of all that is wanted. Its group `default` is the file's own, or what was named: buildx
-- adds to it whatever it was asked for, so that the file's own has to be asked for alone.
local function print_all(request)
  if request.names then return print_targets(request, request.names) end
  local names, own = {}, nil
  local list = ask(request, { "--list=type=targets,format=json" })
  if type(list) ~= "table" then odd(request, "the list of targets") end
  for i, entry in ipairs(list) do
    if type(entry) ~= "table" or type(entry.name) ~= "string" then odd(request, "the list of targets") end
    names[i] = entry.name
    if entry.name == "default" then own = print_targets(request, { "default" }) end
  end
  if #names == 0 then
    core.raise { kind = "config", file = request.files[1], message = "the bake file has no target that may be built" }
  end
  if own and covers(own, list) then return own end
  local document = print_targets(request, names)
  document.group.default = own and own.group.default
  return document
end

-- ---- declaring ----------------------------------------------------------------------------------------

-- The names of a group's targets; groups may hold groups.
local function members(document, name, list, seen)
  if seen[name] then return list end
  seen[name] = true
  if document.target[name] then
    list[#list + 1] = name
  elseif document.group[name] then
    for _, member in ipairs(document.group[name].targets) do members(document, member, list, seen) end
  end
  return list
end

-- Where an HCL file says it: the attribute within the target's block, or that block. What is inherited, made
-- by a matrix or written in JSON has no place of its own.
local function find_place(request, problem)
  if #request.files > 1 then return nil end
  local file, number, start = request.files[1], 0, nil
  for line in (fs.read(file) .. "\n"):gmatch("([^\n]*)\n") do
    number = number + 1
    local block, name = line:match("^%s*(%a+)%s+\"([^\"]+)\"%s*{")
    if block then
      if start then break end
      start = block == "target" and name == problem.target and number or nil
    end
    if start and line:match("([%w-]+)%s*=") == problem.attribute then return file, number end
  end
  return file, start
end

-- All that cannot be honoured is told at once.
local function refuse_problems(request, problems)
  if #problems == 0 then return end
  local others, file, line = {}, find_place(request, problems[1])
  for i = 2, #problems do others[#others + 1] = problems[i].text end
  core.raise {
    kind = "config", file = file, line = line,
    message = problems[1].text .. (#others > 0 and (" (and %d more)"):format(#others) or ""),
    hint = problems[1].hint, detail = #others > 0 and table.concat(others, "\n") or nil,
  }
end

function bake.import(file, options)
  core.bake_folder() -- refuses a call from anywhere else but a strake.lua that is being read
  local request = read_request(file, options)
  local document = print_all(request)
  local bake_target = core.script("bake_target")
  local names, problems, fields, result = sorted_keys(document.target), {}, {}, {}
  for _, name in ipairs(names) do
    fields[name] = bake_target.fields(name, document.target[name], request.without, problems)
  end
  refuse_problems(request, problems)
  for _, name in ipairs(sorted_keys(document.group)) do
    result[name] = members(document, name, {}, {})
    if name ~= "default" then core.bake_group(name, result[name]) end
  end
  if request.default then
    for _, name in ipairs(result.default or { document.target.default and "default" }) do
      fields[name].default = true
    end
  end
  for _, name in ipairs(names) do result[name] = target(name, fields[name]) end
  return result
end

return bake
