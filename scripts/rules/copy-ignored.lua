rule "copy-ignored" {
  severity = "warning",
  aliases = "CopyIgnoredFile",
  on = "file",
  summary = "COPY names what .dockerignore leaves out",
  reason = [[
What is ignored is not in the build context: COPY finds nothing, and fails, or a wildcard copies less than it says.]],
  bad = [[
# .dockerignore: secrets.txt
FROM debian:12
COPY secrets.txt /]],
  good = [[
# .dockerignore: other.txt
FROM debian:12
COPY secrets.txt /]],
  check = function(file)
    local names, at = {}, {}
    for instruction in file:each("COPY", "ADD") do
      if not instruction:flag "from" then
        for index = 1, #instruction.args - 1 do
          local source = instruction.args[index]:gsub("[\"']", ""):gsub("^%.?/+", "")
          if source ~= "" and source ~= "." and not source:find("[%*%?%[%$<]")
              and not source:find("^%a[%w+.-]*://") then
            names[#names + 1], at[#at + 1] = source, instruction
          end
        end
      end
    end
    for index, ignored in ipairs(core.ignored(file.path, names)) do
      if ignored then
        report(at[index], ("%s is left out by .dockerignore"):format(names[index]),
               { fix = ("add !%s to .dockerignore, or do not copy it"):format(names[index]) })
      end
    end
  end,
}
