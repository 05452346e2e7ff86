-- What tag lines know of the commit: in GitHub Actions what the workflow was started for, elsewhere git.
--
--   { actions, event, ref, sha, default_branch, base_ref, repository = { name, description, url, licenses } }

local facts = {}

local memo

local function text(value)
  return type(value) == "string" and value or nil
end

-- ---- time -----------------------------------------------------------------------------------------------

local now_ms

-- Milliseconds since the epoch, the same at each call; SOURCE_DATE_EPOCH when it is set.
function facts.now()
  now_ms = now_ms or core.now()
  return now_ms
end

-- ---- GitHub Actions ---------------------------------------------------------------------------------------

local function is_any(event, ...)
  for _, name in ipairs { ... } do
    if event:find(name, 1, true) then return true end
  end
  return false
end

local function ref_of_workflow(event)
  if not is_any(event, "pull_request_target") then return env.GITHUB_REF or "" end
  local number = core.workflow_event("number")
  if not number then
    core.fail("config", "tags.metadata: the event pull_request_target has no `number` in $GITHUB_EVENT_PATH",
              "run it in a workflow that pull_request_target started")
  end
  return ("refs/pull/%s/merge"):format(number)
end

local function sha_of_workflow(event)
  if (env.DOCKER_METADATA_PR_HEAD_SHA or ""):lower():find("true", 1, true) and is_any(event, "pull_request") then
    local head = text(core.workflow_event("pull_request", "head", "sha"))
    if head then return head end
  end
  return env.GITHUB_SHA or ""
end

local function base_ref_of(ref)
  if ref:find("^refs/tags/") then return ((text(core.workflow_event("base_ref")) or ""):gsub("^refs/heads/", "")) end
  if ref:find("^refs/pull/") then return text(core.workflow_event("pull_request", "base", "ref")) or "" end
  return ""
end

local function of_workflow()
  local event = env.GITHUB_EVENT_NAME or ""
  local ref = ref_of_workflow(event)
  local slug = env.GITHUB_REPOSITORY or ""
  local url = slug ~= "" and (env.GITHUB_SERVER_URL or "https://github.com") .. "/" .. slug or nil
  return {
    actions = true, event = event, ref = ref, sha = sha_of_workflow(event), base_ref = base_ref_of(ref),
    default_branch = text(core.workflow_event("repository", "default_branch")),
    repository = {
      name = text(core.workflow_event("repository", "name")) or slug:match("[^/]+$"),
      description = text(core.workflow_event("repository", "description")),
      url = text(core.workflow_event("repository", "html_url")) or url,
      licenses = text(core.workflow_event("repository", "license", "spdx_id")),
    },
  }
end

-- ---- git --------------------------------------------------------------------------------------------------

-- Where people read the sources: git@host:o/r.git and https://host/o/r.git are https://host/o/r.
local function web_url(remote)
  local host, path = remote:match("^https?://([^/]+)/(.+)$")
  if not host then host, path = remote:match("^ssh://[^@/]*@?([^/:]+):?%d*/(.+)$") end
  if not host and not remote:find("://", 1, true) then host, path = remote:match("^[^@/]+@([^:/]+):(.+)$") end
  if not host then return nil end
  return ("https://%s/%s"):format(host, (path:gsub("/+$", ""):gsub("%.git$", "")))
end

-- A tag says more than the branch that it stands on: a release that is built by hand is that release.
local function of_git()
  local ref = git.tag and "refs/tags/" .. git.tag or git.branch and "refs/heads/" .. git.branch or ""
  local url = git.remote and web_url(git.remote) or nil
  return {
    actions = false, event = "", ref = ref, sha = git.sha or "", base_ref = "",
    default_branch = git.main_branch or nil,
    repository = { name = url and url:match("[^/]+$"), url = url },
  }
end

function facts.get()
  memo = memo or (env.GITHUB_ACTIONS == "true" and of_workflow() or of_git())
  return memo
end

-- ---- what follows from them -----------------------------------------------------------------------------------

-- "main" of refs/heads/main, or nothing
function facts.branch()
  return facts.get().ref:match("^refs/heads/(.*)$")
end

function facts.tag()
  return facts.get().ref:match("^refs/tags/(.*)$")
end

function facts.is_default_branch()
  local known = facts.get()
  local branch = known.ref:gsub("^refs/heads/", "")
  if branch == "" then return false end
  if known.default_branch == branch then return true end
  -- these are always about the last commit of the default branch
  return is_any(known.event, "create", "discussion", "issues", "schedule")
end

-- The branch that a bare `type=edge` means. What a schedule runs on is the default branch, though its event
-- does not name it.
function facts.edge_branch()
  local known = facts.get()
  return known.default_branch or is_any(known.event, "schedule") and facts.branch() or git.main_branch or nil
end

local commit_ms

-- When the commit was made: as the event says, else as git does, else now.
function facts.commit_time()
  if commit_ms then return commit_ms end
  local known = facts.get()
  local said = known.actions and core.workflow_commit_time(known.sha)
  commit_ms = said and core.time(said) or known.sha ~= "" and core.commit_time(known.sha) or facts.now()
  return commit_ms
end

return facts
