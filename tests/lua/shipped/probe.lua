-- The shipped script of the unit tests: the entries to flows and policies, and nothing of a real way.
local probe = {}

function probe.run(args)
  return core.run_flow(args.flow, args.args)
end

function probe.ask(args)
  local decisions = core.ask(args.point, args.subject)
  return { decisions = decisions, subject = args.subject }
end

-- A cancelled flow, and what a shipped script still does then.
function probe.tidy(args)
  local ok, failure = pcall(core.run_flow, args.flow, args.args)
  return { ok = ok, kind = failure and failure.kind or "" }
end

function probe.echo(args)
  return args
end

function probe.fail(args)
  core.fail(args.kind, args.message, args.hint)
end

function probe.broken(args)
  return (args.nothing).field
end

return probe
