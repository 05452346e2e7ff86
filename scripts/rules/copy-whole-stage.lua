rule "copy-whole-stage" {
  severity = "warning",
  aliases = "DL3067",
  on = "COPY",
  summary = "All of a stage is copied",
  reason = [[
`COPY --from=build / /` carries the compilers, caches and secrets of that stage along.]],
  bad = [[
FROM debian:12 AS build
RUN true
FROM debian:12
COPY --from=build / /]],
  good = [[
FROM debian:12 AS build
RUN true
FROM debian:12
COPY --from=build /usr/bin/app /usr/bin/]],
  check = function(copy)
    if not copy:flag "from" then return end
    for at = 1, #copy.args - 1 do
      local source = copy.args[at]:gsub("[\"']", "")
      if source == "/" or source == "/." or source == "/*" then
        if not (copy.stage and copy.stage.base == "scratch") then
          report(copy, "all of a stage is copied", { fix = "name what is needed" })
        end
      end
    end
  end,
}
