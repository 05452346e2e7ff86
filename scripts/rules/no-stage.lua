rule "no-stage" {
  severity = "error",
  on = "file",
  summary = "There is no FROM",
  reason = [[
Without FROM there is nothing to build on: `FROM scratch` is the empty base.]],
  bad = [[
RUN true]],
  good = [[
FROM debian:12
RUN true]],
  check = function(file)
    if #file.stages == 0 then report(file.instructions[1] or 1, "there is no FROM", { fix = "begin with FROM" }) end
  end,
}
