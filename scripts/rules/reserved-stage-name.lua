rule "reserved-stage-name" {
  severity = "error",
  aliases = { "ReservedStageName", "DL3063" },
  summary = "A stage has a name that means something else",
  reason = [[
`scratch` is the empty base, `context` the build context: a stage of that name cannot be reached.]],
  bad = [[
FROM debian:12 AS scratch
RUN true]],
  good = [[
FROM debian:12 AS base
RUN true]],
  check = function(stage)
    if stage.name == "scratch" or stage.name == "context" then
      report(stage.from or stage, ("'%s' is reserved, and cannot be a stage's name"):format(stage.name),
             { fix = "give it another name" })
    end
  end,
}
