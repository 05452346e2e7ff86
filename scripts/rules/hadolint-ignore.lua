rule "hadolint-ignore" {
  severity = "style",
  aliases = "DL1001",
  on = "file",
  off = true,
  summary = "A finding is silenced for hadolint",
  reason = [[
`# hadolint ignore=…` gives no reason. `# strake ignore=RULE REASON` does, may end with a date, and shows in reports.]],
  bad = [[
# hadolint ignore=DL3008
FROM debian:12]],
  good = [[
# strake ignore=apt-pin the distribution is frozen
FROM debian:12]],
  check = function(file)
    for _, comment in ipairs(file.comments) do
      if comment.text:find("^#%s*hadolint%s+%a*%s*ignore%s*=") then
        report(comment.line, "a finding is silenced for hadolint, without a reason",
               { fix = "write `# strake ignore=RULE REASON`" })
      end
    end
  end,
}
