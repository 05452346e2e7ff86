-- What tags showed, one image after the other, as a history tells it: a line for each tag. A publish adds to a
-- line, a rollback goes back on it, so that a second one goes further back instead of forward again.

local tag_lines = {}

-- Where on the line `digest` is: behind the tag first, as a rollback goes, else before it.
local function find(line, digest)
  for i = line.at, 1, -1 do
    if line[i].digest == digest then return i end
  end
  for i = line.at + 1, #line do
    if line[i].digest == digest then return i end
  end
end

local function go_back(line, move, unit)
  local i = find(line, move.to)
  if line.at > 0 and line[line.at].unit then line[line.at].unit.undone = true end
  if i then
    for k = i + 1, line.at do
      if line[k].unit then line[k].unit.undone = true end
    end
    for k = line.at + 1, i do
      if line[k].unit then line[k].unit.undone = false end
    end
    line.at = i
  else -- to an image that this line never had: it stands in for the one that was bad
    line.at = math.max(line.at, 1)
    line[line.at] = { digest = move.to, unit = unit, id = unit.unit, stands_in = true }
  end
end

-- What was rolled back is forgotten: the line goes on from the image that the tag showed.
local function go_on(line, move, unit)
  for i = #line, line.at + 1, -1 do line[i] = nil end
  if move.from == "" then
    for i = #line, 1, -1 do line[i] = nil end
  elseif #line == 0 or line[#line].digest ~= move.from then
    line[#line + 1] = { digest = move.from, id = unit.unit - 0.5 } -- somebody else's
  end
  line[#line + 1] = { digest = move.to, unit = unit, id = unit.unit }
  line.at = #line
end

-- ref -> { at, { digest, unit, id } … }, oldest first
function tag_lines.of(units)
  local lines = {}
  for _, unit in ipairs(units) do
    for _, move in ipairs(unit.moves) do
      local line = lines[move.ref] or { at = 0 }
      lines[move.ref] = line
      if unit.kind == "rollback" then go_back(line, move, unit) else go_on(line, move, unit) end
    end
  end
  return lines
end

-- Is enough of a line known for so many steps? What stands in for an image may turn out to be another place on
-- the line once more of it was read.
function tag_lines.leads_back(line, steps)
  if not line or line.at <= steps then return false end
  for i = line.at - steps, line.at do
    if line[i].stands_in then return false end
  end
  return true
end

return tag_lines
