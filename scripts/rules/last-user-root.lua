rule "last-user-root" {
  severity = "warning",
  aliases = "DL3002",
  summary = "The last USER is root",
  reason = [[
A USER before the last one helps nobody who runs the image: what counts is the last.]],
  bad = [[
FROM debian:12
USER dev
RUN true
USER root]],
  good = [[
FROM debian:12
USER root
RUN true
USER dev]],
  check = function(stage)
    if not stage.final then return end
    local last
    local at = stage
    while at and not last do -- a stage inherits the user of the one that it is built on
      for user in at:each "USER" do last = user end
      at = at.parent
    end
    local name = last and (last.args[1] or ""):match("^[^:]*")
    if name == "root" or name == "0" then
      report(last.stage == stage and last or stage.from or stage, "the image runs as root: this is the last USER",
             { fix = "end the stage with USER NAME" })
    end
  end,
}
