rule "add-for-archives" {
  severity = "info",
  aliases = "DL3010",
  summary = "An archive is copied and then unpacked",
  reason = [[
ADD unpacks an archive of the context in one step, and leaves no archive in a layer.]],
  bad = [[
FROM debian:12
COPY app.tar.gz /app/
RUN tar -xzf /app/app.tar.gz -C /app]],
  good = [[
FROM debian:12
ADD app.tar.gz /app/]],
  check = function(stage)
    local copied = {}
    for instruction in stage:each("COPY", "RUN") do
      if instruction.keyword == "COPY" then
        for at = 1, #instruction.args - 1 do
          local name = instruction.args[at]:gsub("[\"']", ""):match("[^/]*$")
          name = name:match("[^\\]*$")
        if name:find("%.tar$") or name:find("%.tar%.[gxb]z2?$") or name:find("%.tgz$") or name:find("%.tar%.zst$")
              or name:find("%.tar%.lzma$") then
            if not instruction:flag "from" then
            copied[name] = instruction
            local target = instruction.args[#instruction.args]:gsub("[\"']", ""):match("[^/\\]*$")
            if target ~= "" and target ~= "." then copied[target] = instruction end
          end
          end
        end
      else
        for command in instruction:each_call({ "tar", "unzip", "gunzip", "bunzip2", "unxz" }) do
          for _, arg in ipairs(command.args) do
            local name = arg:match("[^/\\]*$")
            if copied[name] then
              report(copied[name], ("%s is copied, then unpacked in line %d"):format(name, command.line),
                     { fix = "ADD unpacks it in one step" })
              local done = copied[name]
            for other, copy in pairs(copied) do
              if copy == done then copied[other] = nil end
            end
            end
          end
        end
      end
    end
  end,
}
