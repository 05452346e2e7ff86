local packages = core.script("check/packages")

local tools = packages.set [[
gcc g++ gcc-c++ clang make cmake autoconf automake build-essential build-base musl-dev golang rustc cargo maven
gradle meson ninja-build patterns-devel-base-devel_basis]]
local removals = { "purge", "remove", "del", "rm", "autoremove", "erase" }

rule "build-tools-left" {
  severity = "info",
  summary = "Compilers are left in the image",
  reason = [[
What builds the program is not needed to run it: it is size, and more to patch. A stage of its own keeps them out.]],
  bad = [[
FROM debian:12
RUN apt-get update && apt-get install -y gcc make && make install && rm -rf /var/lib/apt/lists/*]],
  good = [[
FROM debian:12 AS build
RUN apt-get update && apt-get install -y gcc make && make install
FROM debian:12
COPY --from=build /usr/local /usr/local]],
  check = function(stage)
    if not stage.final then return end
    for run in stage:each "RUN" do
      local removed = {}
      for command in run:each_call({ "apt-get", "apt", "apk", "dnf", "yum", "zypper" }, removals) do
        for _, name in ipairs(command:operands()) do removed[name] = true end
      end
      for command, names in packages.installs(run) do
        local virtual = command:option("-t", "--virtual")
        if not command:is { "pip", "npm", "gem", "yarn", "pipx" } and not (virtual and removed[virtual]) then
          for _, name in ipairs(names) do
            local plain = name:match("^[^=~<>]*")
            if (tools[plain] or plain:find("%-devel$")) and not removed[plain] then
              report(command, ("%s is left in the image"):format(plain),
                     { fix = "build in a stage of its own, and copy what came of it" })
            end
          end
        end
      end
    end
  end,
}
