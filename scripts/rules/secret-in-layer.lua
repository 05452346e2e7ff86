local secrets = core.script("check/secrets")

rule "secret-in-layer" {
  severity = "error",
  on = "file",
  summary = "A secret is in a layer",
  reason = [[
Whoever can pull the image can read every file of every layer, and the text of every instruction. A secret mount
(`RUN --mount=type=secret`) leaves nothing behind.]],
  bad = [[
FROM debian:12
COPY id_rsa /root/.ssh/id_rsa]],
  good = [[
FROM debian:12
RUN --mount=type=ssh git clone git@example.org:app.git]],
  check = function(file)
    local function say(instruction, what)
      report(instruction, what .. " would be readable in the image",
             { fix = "use RUN --mount=type=secret, and `secrets` of the target" })
    end
    for instruction in file:each("COPY", "ADD", "RUN", "ENV", "ARG", "LABEL") do
      local keyword = instruction.keyword
      if keyword == "COPY" or keyword == "ADD" then
        for at = 1, #instruction.args - 1 do
          local source = instruction.args[at]:gsub("[\"']", "")
          if secrets.is_secret_file(source) then say(instruction, source) end
        end
      end
      local text = table.concat(instruction.args, " ")
      for _, pair in ipairs(instruction.pairs or {}) do text = text .. " " .. pair.value end
      for _, heredoc in ipairs(instruction.heredocs or {}) do text = text .. "\n" .. heredoc.content end
      local what = secrets.in_text(text)
      if what then say(instruction, what) end
    end
  end,
}
