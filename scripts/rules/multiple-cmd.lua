rule "multiple-cmd" {
  severity = "warning",
  aliases = { "MultipleInstructionsDisallowed", "DL4003" },
  summary = "A stage has several CMD",
  reason = [[
Only the last one counts: the ones before do nothing, and mislead who reads them.]],
  bad = [=[
FROM debian:12
CMD ["a"]
CMD ["b"]]=],
  good = [=[
FROM debian:12
CMD ["b"]]=],
  check = function(stage)
    local last
    for instruction in stage:each "CMD" do
      if last then
        report(last, ("this CMD does nothing: line %d has the one that counts"):format(instruction.line),
               { fix = "take it out" })
      end
      last = instruction
    end
  end,
}
