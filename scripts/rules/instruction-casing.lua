rule "instruction-casing" {
  severity = "warning",
  aliases = "ConsistentInstructionCasing",
  on = "file",
  summary = "Keywords are cased in different ways",
  reason = [[
One way of writing keywords in a file makes them stand out from what they are given.]],
  bad = [=[
FROM debian:12
run true
CMD ["sh"]]=],
  good = [=[
FROM debian:12
RUN true
CMD ["sh"]]=],
  check = function(file)
    local upper, lower = 0, 0
    for instruction in file:each() do
      if instruction.written == instruction.keyword then upper = upper + 1 end
      if instruction.written == instruction.keyword:lower() then lower = lower + 1 end
    end
    local wanted = upper >= lower and "upper" or "lower"
    for instruction in file:each() do
      local right = wanted == "upper" and instruction.keyword or instruction.keyword:lower()
      if instruction.written ~= right then
        report(instruction, ("'%s' is not in %s case, as most keywords here are"):format(instruction.written, wanted),
               { fix = "write " .. right })
      end
    end
  end,
}
