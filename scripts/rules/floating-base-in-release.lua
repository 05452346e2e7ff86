rule "floating-base-in-release" {
  severity = "warning",
  on = "file",
  summary = "A release is built on a tag that moves",
  reason = [[
A version is built again from its commit, for a fix or a proof: without a digest the base is another one by then.]],
  bad = [[
# strake.lua: target "app" { image = "example.org/app", tags = { "v1.2.3" } }
FROM debian:12]],
  good = [[
# strake.lua: target "app" { image = "example.org/app", tags = { "v1.2.3" } }
FROM debian:12@sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d]],
  check = function(file)
    local release
    for _, target in ipairs(core.targets_of(file.path)) do
      for _, tag in ipairs(target.tags) do
        if tag:find("^v?%d+%.%d+%.%d+$") then release = release or tag end
      end
    end
    if not release then return end
    for _, stage in ipairs(file.stages) do
      local image = stage.image or stage.base
      if not stage.parent and image ~= "scratch" and image ~= "" and not image:find("@sha%d+:") then
        report(stage.from or stage, ("%s would be built on %s, which moves"):format(release, image),
               { fix = ("write %s@sha256:…"):format(image) })
      end
    end
  end,
}
