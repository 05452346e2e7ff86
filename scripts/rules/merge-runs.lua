rule "merge-runs" {
  severity = "info",
  aliases = "DL3059",
  summary = "RUN instructions that could be one",
  reason = [[
Each RUN is a layer, and what the next one deletes stays in it. Several that belong together are one.]],
  bad = [[
FROM debian:12
RUN echo a > /a
RUN echo b > /b]],
  good = [[
FROM debian:12
RUN echo a > /a && \
    echo b > /b]],
  check = function(stage)
    local before
    for _, instruction in ipairs(stage.instructions) do
      if instruction.keyword == "RUN" then
        local same = before and table.concat(before.flags, " ") == table.concat(instruction.flags, " ")
        -- Long ones are often apart on purpose: for the cache.
        if same and not before.heredocs and not instruction.heredocs and #instruction.commands < 2
            and #before.commands < 2 then
          report(instruction, ("this RUN could be one with that of line %d"):format(before.line),
                 { fix = "join them with `&& \\`" })
        end
        before = instruction
      elseif instruction.keyword ~= "ONBUILD" then
        before = nil
      end
    end
  end,
}
