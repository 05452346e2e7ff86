rule "go-pin" {
  severity = "warning",
  aliases = "DL3062",
  calls = "go",
  summary = "go install takes whatever version there is",
  reason = [[
`@latest`, `@main` or no version at all is another program tomorrow.]],
  bad = [[
FROM golang:1.23
RUN go install example.org/tool@latest]],
  good = [[
FROM golang:1.23
RUN go install example.org/tool@v1.2.3]],
  check = function(run)
    for command in run:each_call("go", { "install", "get", "run" }) do
      for _, name in ipairs(command:operands()) do
        local version = name:match("@(.*)$")
        local remote = name:find("^[%w-]+%.[%w.-]+/") or command:flag "-tool"
        if remote and (version == nil or version == "latest" or version == "none" or not version:find("%d")) then
          report(command, ("%s has no version"):format(name),
                 { fix = ("name one: %s@v1.2.3"):format((name:match("^[^@]*"))) })
        end
        if command.subcommand == "run" then break end
      end
    end
  end,
}
