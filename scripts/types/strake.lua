---@meta
-- What strake.lua may say, for the Lua language server (.luarc.json points here). A unit test compares
-- the names with those that the engine registers. Lua's own string, table, math, utf8 and coroutine are
-- known to the server; math.random, load, require, io, os, debug and package do not exist.

---@class strake.Secret a value that nobody can read: give it as it is to the option that wants it
---@class strake.Declaration what `target "NAME"` gives: a reference to that target

---@class strake.Error what pcall gives when an operation failed
---@field kind string "build", "registry", "builder", "policy", …
---@field message string
---@field hint string|false what to do next
---@field file string|false
---@field line integer 0: unknown
---@field detail string|false a tool's own words
---@field exit integer the exit code that it would end the command with

---@class strake.Target
---@field context? string a folder relative to the project, or a URL; "." by default
---@field dockerfile? string relative to the context; "Dockerfile" by default
---@field stage? string the stage to build; the last one by default
---@field platforms? string|string[] "linux/amd64", …; the builder's own by default
---@field image? string|string[] repositories, without a tag
---@field tags? string|string[]|strake.Metadata what tags.rules and the like give, or a list; none without it
---@field refs? string|string[] whole references, in place of image and tags
---@field args? table<string, string|number|true> build arguments
---@field labels? table<string, string|number|true>
---@field annotations? table<string, string|number|true>
---@field contexts? table<string, string|strake.Declaration> named contexts
---@field after? string|strake.Declaration|(string|strake.Declaration)[] targets that are built before
---@field builder? string|string[] names of builders, in order
---@field builders? string|string[] the same
---@field secrets? table<string, strake.Secret> for RUN --mount=type=secret,id=…
---@field cache? string|table "auto", "registry" …, { type = "registry", ref = … }, or a list of such
---@field cache_from? string|string[] records as BuildKit takes them: "type=registry,ref=…"
---@field cache_to? string|string[]
---@field no_cache? boolean
---@field no_cache_stages? string|string[]
---@field ssh? true|string|string[] "default", "ID=SOCKET|KEY"
---@field entitlements? string|string[] "network.host", "security.insecure"
---@field network? "default"|"none"|"host" of RUN
---@field add_hosts? table<string, string>
---@field ulimits? table<string, string|integer> "SOFT:HARD"
---@field shm_size? string|integer "64m"
---@field attestations? { provenance?: boolean|string, sbom?: boolean|string }
---@field compression? "gzip"|"zstd"|"estargz"|"uncompressed"
---@field compression_level? integer
---@field force_compression? boolean
---@field source_date_epoch? string|integer seconds since 1970
---@field rewrite_timestamp? boolean
---@field pull? boolean ask registries for base images, also where the builder has them
---@field reproducible? boolean
---@field default? boolean built when no target is named
---@field ledger? boolean each publish is written beside its image; the registry's word by default

---@class strake.Policy
---@field at "dockerfile"|"plan"|"source"|"image"|"publish"|"retag"|"delete"|"deploy"
---@field check fun(subject: table)

---@class strake.FlowArgument
---@field [1] string
---@field pattern? string a Lua pattern
---@field default? string
---@field summary? string

---@class strake.Flow
---@field summary? string
---@field args? (string|strake.FlowArgument)[]
---@field run fun(arg: table<string, string>): any

---@class strake.Block
---@field type? string the plugin
---@field timeout? string "2s", "5m"
---@field slots? integer builders: targets at once
---@field api? string registries: of the GitHub that it belongs to: "https://HOST/api/v3"
---@field ledger? boolean registries: each publish is written beside its image
---@field mirrors? string[] registries: hosts that are read first: "mirror.lan:5000", "harbor.lan/hub-proxy"

---@class strake.Image what build() gives: staged, no tag shows it
---@field name string
---@field image string the repository
---@field digest string
---@field ref string repository@digest

-- ---- declarations --------------------------------------------------------------------------------

---@param name string
---@return strake.Declaration|fun(fields: strake.Target): strake.Declaration
function target(name) end

---@param name string
---@return fun(fields: strake.Policy): strake.Declaration
function policy(name) end

---@param name string
---@return fun(fields: strake.Flow): strake.Declaration
function flow(name) end

---@param name string
---@return fun(fields: strake.Block): strake.Declaration
function builder(name) end

---@param name string the registry's host
---@return fun(fields: strake.Block): strake.Declaration
function registry(name) end

---@param name string
---@return fun(fields: strake.Block): strake.Declaration
function notifier(name) end

---@param name string
---@return fun(fields: strake.Block): strake.Declaration
function scanner(name) end

---@param name string
---@return fun(fields: strake.Block): strake.Declaration
function workflow(name) end

---@param name string
---@return fun(fields: strake.Block): strake.Declaration
function deployer(name) end

---Run another Lua file of the project, once.
---@param path string
---@return any
function include(path) end

bake = {}

---@class strake.BakeOptions
---@field targets? string|string[] names and groups of the file; all of it by default
---@field variables? table<string, string|number|boolean> over the environment's
---@field set? table<string, string|number|boolean|(string|number|boolean)[]> as bake's --set: ["app.tags"] = "…"
---@field without? string|string[] attributes that are left out, such as "output"
---@field default? boolean false: the file's group `default` marks nothing

---Declare the targets of a bake or compose file.
---@param file string|string[]
---@param options? strake.BakeOptions
---@return table<string, strake.Declaration|string[]> targets, and the names of the targets of each group
function bake.import(file, options) end

policies = {}

---A tag such as v1.2.3 that has an image keeps it, at `publish` and at `retag`.
---@param options? { match: string|string[] } Lua patterns of whole tags, in place of versions
function policies.immutable_tags(options) end

---@class strake.Rule
---@field severity "error"|"warning"|"info"|"style"
---@field summary string
---@field check fun(node: table)
---@field on? string|string[] "stage", "file", or keywords such as "RUN"
---@field calls? string|string[] programs: it is asked about each RUN that calls one
---@field aliases? string|string[]
---@field reason? string
---@field bad? string
---@field good? string
---@field off? boolean

---Declare a rule of `strake check`.
---@param name string
---@return fun(rule: strake.Rule)
function rule(name) end

---@class strake.CheckOptions
---@field enable? string[]
---@field disable? string[]
---@field severity? table<string, string>
---@field registries? string[]
---@field labels? table<string, string>
---@field strict_labels? boolean

---Options of `strake check`.
---@param options strake.CheckOptions
function check(options) end

---In a rule: a finding at an instruction, a command, a stage or a line.
---@param node table|integer
---@param text string
---@param options? { fix: string }
function report(node, text, options) end

-- ---- in policies ---------------------------------------------------------------------------------

---Deny, and end the policy.
---@param text string
---@param options? { fix: string }
function deny(text, options) end

---@param text string
---@param options? { fix: string }
function warn(text, options) end

-- ---- in flows ------------------------------------------------------------------------------------

---Build targets and stage them by digest. Waits.
---@param names string|strake.Declaration|(string|strake.Declaration)[]
---@param options? { tags?: string[], args?: table, labels?: table, platforms?: string[], stage?: string, builder?: string, no_cache?: boolean }
---@return strake.Image ...
function build(names, options) end

---Move the tags of all these images as one unit. Waits.
---@param ... strake.Image
function publish(...) end

---@param message string|{ title?: string, message: string, to?: string, priority?: integer, tags?: string[], click?: string }
function notify(message) end

---Run several functions at once; fails with all their errors. Waits.
---@param functions (fun(): any)[]
---@return any ... the first result of each
function all(functions) end

---Run a program, never a shell. Waits.
---@param command { [integer]: string|number, env?: table<string, string|strake.Secret>, stdin?: string|strake.Secret, cwd?: string, check?: boolean, timeout?: string }
---@return { exit: integer, stdout: string, stderr: string }
function exec(command) end

http = {}

---@class strake.Answer
---@field status integer
---@field body string
---@field headers table<string, string> names in lower case

---@param url string
---@param options? { headers?: table, timeout?: string, plain_http?: boolean }
---@return strake.Answer
function http.get(url, options) end

---@param url string
---@param options? { body?: string, json?: any, headers?: table, timeout?: string, plain_http?: boolean }
---@return strake.Answer
function http.post(url, options) end

---@param options { url: string, method?: string, body?: string, json?: any, headers?: table, timeout?: string, plain_http?: boolean }
---@return strake.Answer
function http.request(options) end

-- ---- everywhere ----------------------------------------------------------------------------------

---An environment variable, or false. Cannot be listed.
---@type table<string, string|false>
env = {}

---@class strake.Git facts about the commit; false where there is none
---@field branch string|false
---@field tag string|false the highest version among the tags of the commit
---@field sha string|false
---@field short_sha string|false 7 characters
---@field main_branch string|false what the remote calls its main branch, or `main` or `master` where there is one
---@field dirty boolean are there changes that are not committed?
---@field commit_time string|false RFC 3339, UTC
---@field remote string|false the URL of origin
git = {}

tags = {}

---Tags by rules; a rule whose fact does not exist gives none.
---@param rules (string|{ [1]: string, when?: any })[]
---@return string[]
function tags.rules(rules) end

---The tags that ship: the version of the commit, `sha-…`, the branch, and `latest` on the main branch.
---@return string[]
function tags.default() end

---NAME-YYYYMMDD-HHMMSS: for a build of someone's own.
---@param name string such as "dev"
---@return string[]
function tags.session(name) end

---@class strake.Metadata the tags in order, and
---@field [integer] string
---@field version string the first tag, or ""
---@field labels table<string, string> a target takes them with the tags
---@field annotations table<string, string> likewise; empty without `annotations`

---The lines of docker/metadata-action, as they are.
---@param lines { tags?: string|string[], flavor?: string|string[], labels?: string|string[], annotations?: string|string[], images?: string|string[] }
---@return strake.Metadata
function tags.metadata(lines) end

secret = {}

---@param name string an environment variable
---@return strake.Secret
function secret.env(name) end

---@param path string a file, from the folder of strake.lua
---@return strake.Secret
function secret.file(path) end

fs = {}

---@param path string within the project
---@return string
function fs.read(path) end

---@param path string
---@return boolean
function fs.exists(path) end

---Flows only.
---@param path string
---@param text string
function fs.write(path, text) end

json = {}

---@param value any
---@param options? { pretty: boolean }
---@return string
function json.encode(value, options) end

---@param text string
---@return any null is false
function json.decode(text) end

log = {}

---@param text any
function log.info(text) end

---@param text any
function log.warn(text) end

---@param text any
function log.error(text) end

image = {}

---What a registry has. Waits.
---@param ref string
---@return table
function image.inspect(ref) end

---@param ref string
---@return string
function image.digest(ref) end
