rule "base-latest" {
  severity = "warning",
  aliases = "DL3007",
  summary = "A base image is `latest`",
  reason = [[
`latest` is whatever was pushed last: the build is another one tomorrow, and an old one cannot be built again.]],
  bad = [[
FROM debian:latest]],
  good = [[
FROM debian:12]],
  check = function(stage)
    local image = stage.image or stage.base
    if image:find("@", 1, true) or stage.parent then return end
    if image:match("[^/]*$"):find(":latest$") then
      report(stage.from or stage, ("%s is another image tomorrow"):format(image), { fix = "name a version" })
    end
  end,
}
