rule "never-cached" {
  severity = "warning",
  summary = "Each change of any file installs everything again",
  reason = [[
COPY of the whole context misses the cache with each change of any file, and so does all that stands behind it. What names
the dependencies is copied first, the rest behind their installation.]],
  bad = [[
FROM node:22
WORKDIR /app
COPY . .
RUN npm ci]],
  good = [[
FROM node:22
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci
COPY . .]],
  check = function(stage)
    local copied
    for instruction in stage:each("COPY", "ADD", "RUN") do
      if instruction.keyword ~= "RUN" then
        for at = 1, #instruction.args - 1 do
          local source = instruction.args[at]:gsub("[\"']", "")
          if (source == "." or source == "./" or source == "/" or source == "*") and not instruction:flag "from" then
            copied = copied or instruction
          end
        end
      elseif copied then
        local install = instruction:calls({ "npm", "pnpm" }, { "ci", "install", "i" })
            or instruction:calls("yarn", { "install", "" })
          or instruction:calls("pip", "install") or instruction:calls("bundle", "install")
              or instruction:calls("composer", "install")
          or instruction:calls("go", "mod") or instruction:calls("poetry", "install")
              or instruction:calls("cargo", "fetch")
          or instruction:calls({ "apt-get", "apk", "dnf", "yum", "zypper" }, { "install", "add", "in" })
        if install then
          local local_only = install:is "pip" and #install:operands() > 0 and install:operands()[1]:find("^%.")
          if not local_only then
            report(copied, ("each change of a file runs `%s %s` of line %d again"):format(install.name,
                   install.subcommand, install.line),
                   { fix = "copy the files that name the dependencies first, install, then copy the rest" })
            return
          end
        end
      end
    end
  end,
}
