local secrets = core.script("check/secrets")

rule "secret-in-arg-or-env" {
  severity = "warning",
  aliases = { "SecretsUsedInArgOrEnv", "DL3064" },
  on = { "ARG", "ENV" },
  summary = "A secret is an argument or in the environment",
  reason = [[
ARG and ENV stand in the image's history and configuration: whoever can pull it can read them. A secret mount
(`RUN --mount=type=secret`) leaves nothing behind.]],
  bad = [[
FROM debian:12
ARG GITHUB_TOKEN
RUN true]],
  good = [[
FROM debian:12
RUN --mount=type=secret,id=github_token true]],
  check = function(instruction)
    local function look(name)
      if secrets.is_secret_name(name) then
        report(instruction, ("%s %s would be readable in the image"):format(instruction.keyword, name),
               { fix = "use RUN --mount=type=secret, and `secrets` of the target" })
      end
    end
    for _, word in ipairs(instruction.keyword == "ARG" and instruction.args or {}) do look(word:match("^[^=]*")) end
    for _, pair in ipairs(instruction.pairs or {}) do look(pair.name) end
  end,
}
