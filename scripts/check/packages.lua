-- Package managers: which commands install what.

local packages = {}

local managers = {
  ["apt-get"] = { "install", "build-dep" }, ["apt"] = { "install" }, ["aptitude"] = { "install" },
  ["zypper"] = { "install", "in" }, ["dnf"] = { "install" }, ["yum"] = { "install", "localinstall" },
  ["microdnf"] = { "install" }, ["tdnf"] = { "install" }, ["apk"] = { "add" }, ["pip"] = { "install" },
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
        return command, command:operands()
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

-- Does the instruction delete something below this folder?
function packages.removes(run, folder)
  for remove in run:each_call "rm" do
    for _, path in ipairs(remove.args) do
      if path:sub(1, #folder) == folder or folder:sub(1, #path) == path and path ~= "/" and path:sub(1, 1) == "/" then
        return true
      end
    end
  end
  for find in run:each_call "find" do
    if find:flag("-delete") and (find.args[1] or ""):sub(1, #folder) == folder then return true end
  end
  return false
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
