-- What luacheck knows about the Lua of this project: the scripts that ship run inside the engine.
std = "lua54"
max_line_length = 120
max_string_line_length = false -- examples of Dockerfiles

-- The engine's own names for the scripts that ship; core is what C gives to them alone.
files["scripts"] = { read_globals = {
  "core", "env", "exec", "fs", "git", "http", "image", "json", "log", "secret", "tags", "include", "target",
  "policy", "deny", "rule", "report", "all",
} }

-- What a strake.lua says.
files["**/strake.lua"] = { read_globals = {
  "builder", "registry", "notifier", "scanner", "workflow", "deployer", "target", "policy", "flow",
  "bake", "env", "exec", "fs", "git", "http", "image", "json", "log", "secret", "tags", "include",
  "policies", "all", "rule", "report", "check", "build", "deny", "notify", "plan", "publish", "scan", "verify", "warn",
} }

-- Descriptions for the language server: names that are written and never used.
exclude_files = { "scripts/types" }
