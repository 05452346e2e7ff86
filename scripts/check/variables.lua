-- Variables of a Dockerfile: which are used, which are set where.

local variables = {}

-- What BuildKit sets for each platform; a stage has to declare them all the same, FROM has not.
variables.platform = {}
for _, side in ipairs { "BUILD", "TARGET" } do
  for _, part in ipairs { "PLATFORM", "OS", "OSVERSION", "ARCH",
      "VARIANT" } do variables.platform[side .. part] = true end
end
variables.platform.TARGETSTAGE = true

-- Known in every stage without ARG.
local always = { "PATH", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "FTP_PROXY", "ftp_proxy",
    "NO_PROXY", "no_proxy",
                 "ALL_PROXY", "all_proxy" }

-- The names of the variables in a text, in order, once each. Those with a default (${x:-y}) are left out,
-- unless `all`.
function variables.used(text, all)
  local names, seen, at = {}, {}, 1
  while true do
    local from, to, brace, name = text:find("%$({?)([%a_][%w_]*)", at)
    if not from then return names end
    local before = from
    while text:sub(before - 1, before - 1) == "\\" do before = before - 1 end
    local after = text:sub(to + 1, to + 2)
    local default = brace == "{" and (after:find("^:?[-+?]") ~= nil)
    if (from - before) % 2 == 0 and not seen[name] and (all or not default) then
      seen[name] = true
      names[#names + 1] = name
    end
    at = to + 1
  end
end

-- Single quotes keep what is in them as it is.
local function without_single_quotes(text)
  return (text:gsub("'[^']*'", ""))
end

-- The variables that BuildKit expands in an instruction; those of RUN are the shell's.
function variables.in_instruction(instruction)
  local keyword, parts = instruction.keyword, {}
  if keyword == "ENV" or keyword == "LABEL" then
    for _, pair in ipairs(instruction.pairs
        or {}) do parts[#parts + 1] = without_single_quotes(pair.name .. " " .. pair.value) end
  elseif keyword == "ADD" or keyword == "COPY" or keyword == "ARG" or keyword == "EXPOSE" or keyword == "STOPSIGNAL"
      or keyword == "USER" or keyword == "VOLUME" or keyword == "WORKDIR" then
    for _, word in ipairs(instruction.args) do parts[#parts + 1] = without_single_quotes(word) end
    for _, flag in ipairs(instruction.flags) do parts[#parts + 1] = flag end
  end
  return variables.used(table.concat(parts, " "))
end

-- Note what an instruction sets for those behind it.
function variables.declare(instruction, known)
  if instruction.keyword == "ARG" then
    for _, word in ipairs(instruction.args) do known[word:match("^[^=]*")] = true end
  elseif instruction.keyword == "ENV" then
    for _, pair in ipairs(instruction.pairs or {}) do known[pair.name] = true end
  end
end

-- What is known where a stage begins: ENV of the stages that it is built on. An image's environment is
-- not known here: `*` says that it may set anything.
function variables.of_parents(stage)
  local known = {}
  for _, name in ipairs(always) do known[name] = true end
  local at, base = stage.parent, stage
  while at do
    for env in at:each "ENV" do variables.declare(env, known) end
    at, base = at.parent, at
  end
  -- Names that images usually set are not told; the rest of an image's environment nobody knows.
  if base.base ~= "scratch" then
    for _, name in ipairs { "HOME", "LANG", "LC_ALL", "HOSTNAME", "JAVA_HOME", "GOPATH", "GOROOT", "NODE_VERSION",
        "PYTHON_VERSION",
                            "CARGO_HOME", "RUSTUP_HOME", "GEM_HOME", "SHELL", "USER", "TERM", "PWD" } do
      known[name] = true
    end
  end
  return known
end

-- What is set in an instruction's stage before it; with `only_here` nothing that a base may set.
function variables.before(instruction, only_here)
  local known = instruction.stage and not only_here and variables.of_parents(instruction.stage) or {}
  for _, one in ipairs(instruction.stage and instruction.stage.instructions or {}) do
    if one == instruction then break end
    variables.declare(one, known)
  end
  return known
end

-- ARG before the first FROM: name -> true.
function variables.global(file)
  local declared = {}
  for _, instruction in ipairs(file.instructions) do
    if instruction.stage_index >= 0 then break end
    variables.declare(instruction, declared)
  end
  return declared
end

-- Their default values; those without one are "".
function variables.global_values(file)
  local values = {}
  for _, instruction in ipairs(file.instructions) do
    if instruction.stage_index >= 0 then break end
    for _, word in ipairs(instruction.keyword == "ARG" and instruction.args or {}) do
      local name, default = word:match("^([^=]+)=(.*)$")
      values[name or word] = name and core.expand(default, values, file.escape) or ""
    end
  end
  return values
end

return variables
