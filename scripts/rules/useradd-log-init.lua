rule "useradd-log-init" {
  severity = "warning",
  aliases = "DL3046",
  calls = "useradd",
  summary = "useradd with a high user ID makes a huge file",
  reason = [[
useradd writes /var/log/lastlog and faillog up to the user's number: with a high one, gigabytes of zeros in a layer.]],
  bad = [[
FROM debian:12
RUN useradd -u 123456 dev]],
  good = [[
FROM debian:12
RUN useradd -l -u 123456 dev]],
  check = function(run)
    for command in run:each_call "useradd" do
      local id = tonumber(command:option("-u", "--uid") or "")
      if id and id > 99999 and not command:flag("-l", "--no-log-init") then
        report(command, ("user ID %d makes a huge lastlog"):format(id), { fix = "add --no-log-init" })
      end
    end
  end,
}
