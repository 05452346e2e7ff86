rule "multiple-healthcheck" {
  severity = "error",
  aliases = { "MultipleInstructionsDisallowed", "DL3012" },
  summary = "A stage has several HEALTHCHECK",
  reason = [[
Only the last one counts: the ones before do nothing, and mislead who reads them.]],
  bad = [=[
FROM debian:12
HEALTHCHECK CMD ["a"]
HEALTHCHECK CMD ["b"]]=],
  good = [=[
FROM debian:12
HEALTHCHECK CMD ["b"]]=],
  check = function(stage)
    local last
    for instruction in stage:each "HEALTHCHECK" do
      if last then
        report(last, ("this HEALTHCHECK does nothing: line %d has the one that counts"):format(instruction.line),
               { fix = "take it out" })
      end
      last = instruction
    end
  end,
}
