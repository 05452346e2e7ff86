rule "wget-progress" {
  severity = "info",
  aliases = "DL3047",
  calls = "wget",
  summary = "wget fills the log with its progress",
  reason = [[
Without a terminal wget writes a line for each 50 KB.]],
  bad = [[
FROM debian:12
RUN wget https://example.org/a.tar]],
  good = [[
FROM debian:12
RUN wget -q https://example.org/a.tar]],
  check = function(run)
    for command in run:each_call "wget" do
      if not command:flag("--progress", "-q", "--quiet", "-nv", "--no-verbose", "-o", "--output-file", "-a",
          "--append-output")
          and command.args[1] and not command:flag("--version", "--help") then
        report(command, "wget fills the log with its progress", { fix = "add --progress=dot:giga, or -nv" })
      end
    end
  end,
}
