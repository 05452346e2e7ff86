rule "multiple-entrypoint" {
  severity = "error",
  aliases = { "MultipleInstructionsDisallowed", "DL4004" },
  summary = "A stage has several ENTRYPOINT",
  reason = [[
Only the last one counts: the ones before do nothing, and mislead who reads them.]],
  bad = [=[
FROM debian:12
ENTRYPOINT ["a"]
ENTRYPOINT ["b"]]=],
  good = [=[
FROM debian:12
ENTRYPOINT ["b"]]=],
  check = function(stage)
    local last
    for instruction in stage:each "ENTRYPOINT" do
      if last then
        report(last, ("this ENTRYPOINT does nothing: line %d has the one that counts"):format(instruction.line),
               { fix = "take it out" })
      end
      last = instruction
    end
  end,
}
