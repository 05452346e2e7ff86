rule "base-untagged" {
  severity = "warning",
  aliases = "DL3006",
  summary = "A base image has no tag",
  reason = [[
Without a tag it is `latest`: whatever was pushed last, and perhaps another version tomorrow.]],
  bad = [[
FROM debian]],
  good = [[
FROM debian:12]],
  check = function(stage)
    local image = stage.image or stage.base
    if stage.parent or image == "scratch" or image == "" or image:find("@", 1, true)
        or image:find("$", 1, true) then return end
    if not image:match("[^/]*$"):find(":", 1, true) then
      report(stage.from or stage, ("%s has no tag"):format(image), { fix = ("write %s:VERSION"):format(image) })
    end
  end,
}
