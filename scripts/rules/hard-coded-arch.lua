rule "hard-coded-arch" {
  severity = "warning",
  on = "file",
  summary = "One architecture is downloaded, whatever is built for",
  reason = [[
The file is built for several platforms, and each gets the same program: on the others it does not start. $TARGETARCH
is the one that is built for (amd64, arm64); a stage has to declare it.]],
  bad = [[
FROM --platform=$BUILDPLATFORM debian:12 AS build
RUN true
FROM debian:12
RUN curl -fLO https://example.org/tool-linux-amd64]],
  good = [[
FROM --platform=$BUILDPLATFORM debian:12 AS build
RUN true
FROM debian:12
ARG TARGETARCH
RUN curl -fLO https://example.org/tool-linux-$TARGETARCH]],
  check = function(file)
    local several = false
    for _, target in ipairs(core.targets_of(file.path)) do several = several or #target.platforms > 1 end
    local function tells(text) return text:find("%$%{?TARGET") or text:find("%$%{?BUILDPLATFORM") end
    for instruction in file:each("FROM", "ARG", "RUN", "COPY") do
      if tells(table.concat(instruction.flags, " ") .. " " .. table.concat(instruction.args,
          " ")) then several = true end
    end
    if not several then return end
    local function arch_in(text)
      for _, arch in ipairs { "amd64", "x86_64", "x86-64", "arm64", "aarch64", "armv7", "armhf" } do
        if text:find(arch, 1, true) then return arch end
      end
      return nil
    end
    local function look(node, url)
      local arch = url:find("^%a+://") and not url:find("$", 1, true) and arch_in(url)
      if arch then
        report(node, ("%s is downloaded for every platform"):format(arch),
               { fix = "declare ARG TARGETARCH, and put it in the address" })
      end
    end
    for instruction in file:each("RUN", "ADD") do
      if instruction.keyword == "ADD" then
        for at = 1, #instruction.args - 1 do look(instruction, instruction.args[at]) end
      elseif not (instruction.stage and instruction.stage.platform ~= "") then
        for command in instruction:each_call { "curl", "wget" } do
          for _, arg in ipairs(command.args) do look(command, arg) end
        end
      end
    end
  end,
}
