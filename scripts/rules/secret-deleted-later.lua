local secrets = core.script("check/secrets")

rule "secret-deleted-later" {
  severity = "error",
  summary = "A secret is copied, and deleted in a later layer",
  reason = [[
The file is gone from the last layer, and still in the one that brought it: `docker save` gives it to anybody.]],
  bad = [[
FROM debian:12
COPY key.pem /tmp/key.pem
RUN use /tmp/key.pem && rm /tmp/key.pem]],
  good = [[
FROM debian:12
RUN --mount=type=secret,id=key,target=/tmp/key.pem use /tmp/key.pem]],
  check = function(stage)
    if not stage.kept then return end
    local brought = {}
    for instruction in stage:each("COPY", "ADD", "RUN") do
      if instruction.keyword ~= "RUN" then
        local target = (instruction.args[#instruction.args] or ""):gsub("[\"']", "")
        for at = 1, #instruction.args - 1 do
          local name = instruction.args[at]:gsub("[\"']", ""):match("[^/]*$")
          local path = target:find("/$") and target .. name or target
          if secrets.is_secret_file(name) or name:find("%.pem$") or name:find("%.key$") or name:find("secret")
              or name:find("token") then
            brought[path] = instruction
          end
        end
      else
        for command in instruction:each_call { "rm", "shred", "unlink" } do
          for _, path in ipairs(command.args) do
            if brought[path] then
              report(brought[path], ("%s is deleted in line %d, and stays in this layer"):format(path, command.line),
                     { fix = "use RUN --mount=type=secret" })
            end
          end
        end
      end
    end
  end,
}
