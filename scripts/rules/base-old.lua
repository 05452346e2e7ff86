local support = core.script("check/support")

rule "base-old" {
  severity = "warning",
  summary = "A base image gets no more fixes",
  reason = [[
Behind the end of its support nobody mends what is found in it.]],
  bad = [[
FROM debian:9]],
  good = [[
FROM debian:13]],
  check = function(stage)
    if stage.parent or not stage.image then return end
    local over = support.over(stage.image)
    if over and over < core.today() then
      report(stage.from or stage, ("%s has had no fixes since %s"):format(stage.image:match("^[^@]*"), over),
             { fix = "take a newer version" })
    end
  end,
}
