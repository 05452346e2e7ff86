-- Package managers: which commands install what.

local packages = {}

-- The words of a text as a table's keys.
function packages.set(text)
  local found = {}
  for word in text:gmatch("%S+") do found[word] = true end
  return found
end

local managers = {
  ["apt-get"] = { "install", "build-dep" }, ["apt"] = { "install" }, ["aptitude"] = { "install" },
  ["zypper"] = { "install", "in" }, ["dnf"] = { "install", "in", "module" }, ["yum"] = { "install", "localinstall",
      "module" },
  ["microdnf"] = { "install", "module" }, ["tdnf"] = { "install" }, ["apk"] = { "add" }, ["pip"] = { "install" },
      ["pipx"] = { "install" },
  ["npm"] = { "install", "i", "add" }, ["yarn"] = { "add" }, ["gem"] = { "install", "i" },
}

-- for command, names in packages.installs(run[, PROGRAM]) do … end: each command that installs, with
-- what it names.
function packages.installs(run, program)
  local at = 0
  return function()
    for index = at + 1, #(run.commands or {}) do
      local command = run.commands[index]
      local verbs = managers[command.name]
      if verbs and (not program or command:is(program)) and command:is(command.name, verbs) then
        at = index
        local names = command:operands()
        if command.subcommand == "module" then -- dnf module install NAME
          if names[1] == "install" then table.remove(names, 1) else names = {} end
        end
        return command, names
      end
    end
    at = math.maxinteger - 1
    return nil
  end
end

-- Does a cache mount of the instruction cover this folder?
function packages.cache_mounted(run, folder)
  for _, mount in ipairs(run:mounts()) do
    local target = mount.target or ""
    if (mount.type == "cache" or mount.type == "tmpfs") and folder:sub(1, #target) == target and target ~= "" then
      return true
    end
  end
  return false
end

-- Does the instruction delete something below this folder, behind the command `after` (or anywhere)?
function packages.removes(run, folder, after)
  local from = after and after.index or 0
  for _, command in ipairs(run.commands) do
    if command.index > from and command:is "rm" then
      for _, path in ipairs(command.args) do
        local above = folder:sub(1, #path) == path and path:find("^/.")
        if path:sub(1, #folder) == folder or above then return true end
      end
    elseif command.index > from and command:is "find" and command:flag "-delete" then
      if (command.args[1] or ""):sub(1, #folder) == folder then return true end
    end
  end
  return false
end

-- Is what the instruction leaves in the image? A stage that nothing is built on is thrown away.
function packages.stays(run)
  return not run.stage or run.stage.kept
end

-- The last command of that kind, or nil: what is cleaned before it does not count.
function packages.last(run, program, verbs)
  local last
  for command in run:each_call(program, verbs) do last = command end
  return last
end

-- `-qq`, or -q twice: apt-get takes that for -y.
function packages.twice_quiet(command)
  local count = 0
  for _, arg in ipairs(command.args) do
    if arg == "-q" or arg == "--quiet" then count = count + 1 end
    if arg:find("^%-%a*q%a*q") or arg == "-q=2" then count = count + 2 end
  end
  return count >= 2
end

return packages
