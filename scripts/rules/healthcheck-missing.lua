rule "healthcheck-missing" {
  severity = "info",
  aliases = "DL3057",
  off = true,
  summary = "No HEALTHCHECK says whether the container works",
  reason = [[
Docker restarts what is unhealthy; Kubernetes has probes of its own, and does not read it.]],
  bad = [=[
FROM debian:12
CMD ["a"]]=],
  good = [=[
FROM debian:12
HEALTHCHECK CMD ["curl", "-f", "http://localhost/"]
CMD ["a"]]=],
  check = function(stage)
    if not stage.final then return end
    local at = stage
    while at do
      for healthcheck in at:each "HEALTHCHECK" do
        if healthcheck then return end -- NONE is a decision, too
      end
      at = at.parent
    end
    report(stage.from or stage, "there is no HEALTHCHECK", { fix = "add HEALTHCHECK CMD …" })
  end,
}
