rule "base-unpinned" {
  severity = "info",
  off = true,
  summary = "A base image has no digest",
  reason = [[
A tag moves: what was tested is not what is built next. With `@sha256:…` the same bytes are pulled each time, and a tool
such as Renovate writes the new digest when there is one.]],
  bad = [[
FROM debian:12]],
  good = [[
FROM debian:12@sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d]],
  check = function(stage)
    local image = stage.image or stage.base
    if stage.parent or image == "scratch" or image == "" or image:find("$", 1, true) then return end
    if not image:find("@sha%d+:") then
      report(stage.from or stage, ("%s has no digest"):format(image), { fix = ("write %s@sha256:…"):format(image) })
    end
  end,
}
