rule "no-empty-continuation" {
  severity = "warning",
  aliases = "NoEmptyContinuation",
  on = { "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "RUN",
      "VOLUME" },
  summary = "An empty line stands within an instruction",
  reason = [[
An empty line behind a line that ends with a backslash looks like the end of the instruction, and is none.
BuildKit warns of it, and may refuse it one day.]],
  bad = [[
FROM debian:12
RUN echo one && \

    echo two]],
  good = [[
FROM debian:12
RUN echo one && \
    echo two]],
  check = function(instruction)
    local last = instruction.end_line
    if instruction.heredocs then return end
    for number = instruction.line + 1, last do
      if instruction.file:line_text(number):find("^%s*$") then
        return report(number, ("an empty line stands within this %s"):format(instruction.keyword),
                      { fix = "take the line out, or put a # there" })
      end
    end
  end,
}
