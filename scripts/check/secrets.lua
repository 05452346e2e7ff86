-- What looks like a secret: names of variables, names of files, texts.

local secrets = {}

-- Words of a name that give a secret away, and those that take it back.
local tell = { "password", "passwd", "pword", "secret", "token", "apikey", "api_key", "auth", "credential",
               "credentials", "pswd", "key" }
local harmless = { "public" }

-- Does a variable's name say that a secret is in it? The words between `_` count, not parts of them:
-- AUTHOR and MONKEY are none.
function secrets.is_secret_name(name)
  local text = "_" .. name:lower():gsub("[^%w]+", "_") .. "_"
  for _, word in ipairs(harmless) do
    if text:find("_" .. word .. "_", 1, true) then return false end
  end
  for _, word in ipairs(tell) do
    if text:find("_" .. word .. "_", 1, true) then return true end
  end
  return false
end

local files = {
  "^id_rsa$", "^id_dsa$", "^id_ecdsa$", "^id_ed25519$", "^%.env$", "^%.npmrc$", "^%.pypirc$", "^%.netrc$",
      "^%.git%-credentials$",
  "^credentials%.json$", "^service%-account.*%.json$", "^kubeconfig$", "%.pfx$", "%.p12$", "%.jks$", "^%.dockercfg$",
  "^%.dockerconfigjson$", "^secrets?%.ya?ml$", "%.kdbx$",
}

-- Is a file of this name one that holds secrets?
function secrets.is_secret_file(path)
  local name = path:match("([^/]+)/*$") or ""
  for _, pattern in ipairs(files) do
    if name:find(pattern) then return true end
  end
  return path:find("%.ssh/?$") ~= nil or path:find("%.aws/?$") ~= nil or path:find("%.docker/config%.json$") ~= nil
end

-- A text that is looked for first, because it is quick, the pattern, and what it is.
local texts = {
  { "gh", "gh[pousr]_" .. ("[%w]"):rep(20), "a GitHub token" },
  { "github_pat_", "github_pat_" .. ("[%w_]"):rep(20), "a GitHub token" },
  { "glpat-", "glpat%-" .. ("[%w_-]"):rep(18), "a GitLab token" },
  { "AKIA", "AKIA" .. ("[%u%d]"):rep(16), "an AWS access key" },
  { "xox", "xox[abprs]%-%d%d%d%d%d", "a Slack token" },
  { "PRIVATE KEY", "%-%-%-%-%-BEGIN [%u ]*PRIVATE KEY", "a private key" },
  { "npm_", "npm_" .. ("[%w]"):rep(30), "an npm token" },
  { "@", "://[^/%s:@$]+:[^/%s:@$]+@", "a password in a URL" },
}

-- What secret a text holds ("a GitHub token"), or nil.
function secrets.in_text(text)
  for _, one in ipairs(texts) do
    if text:find(one[1], 1, true) and text:find(one[2]) then return one[3] end
  end
  return nil
end

return secrets
