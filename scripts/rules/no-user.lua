rule "no-user" {
  severity = "warning",
  summary = "The image runs as root",
  reason = [[
Who breaks out of a process that runs as root is root of whatever the container may reach. A USER at the end of
the last stage costs nothing.]],
  bad = [[
FROM debian:12
CMD ["sleep", "1"] ]],
  good = [[
FROM debian:12
USER 1000
CMD ["sleep", "1"] ]],
  check = function(stage)
    if not stage.final or stage.base == "scratch" then return end
    local at = stage
    while at do -- a stage inherits the user of the one that it is built on
      for user in at:each "USER" do
        if user then return end
      end
      at = at.parent
    end
    if stage.image and (stage.image:find("nonroot", 1, true) or stage.image:find("rootless", 1, true)) then return end
    report(stage.from or stage, "the image runs as root: the last stage has no USER",
           { fix = "end the stage with USER NAME" })
  end,
}
