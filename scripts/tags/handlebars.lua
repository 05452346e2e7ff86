-- The expressions of tag lines: Handlebars, as far as a tag, a label or a condition has use for it.
--
--   {{version}}  {{{version}}}  {{date 'YYYYMMDD' tz='Asia/Tokyo'}}  {{! comment }}
--   {{#if tag}}{{tag}}{{else if branch}}{{branch}}{{else}}none{{/if}}  {{#unless tag}}…{{/unless}}
--
-- A name without a value gives nothing; two braces escape what HTML would read, three do not. What else
-- Handlebars has (partials, each, with, paths into objects) is refused by name.

local handlebars = {}

local compiled = {} -- template -> its list of nodes; the same few templates serve a thousand targets

local function refuse(format, ...)
  error({ handlebars = format:format(...) }, 0)
end

-- ---- reading one expression ---------------------------------------------------------------------

-- What an identifier may not have, and what must follow one.
local id_pattern = "^[^%s!\"#%%&'()*+,./;<=>@%[\\%]^`{|}~]+"
local id_end = "^[=~}%s/.)|%]]"

local literals = { ["true"] = true, ["false"] = true, null = true, undefined = true }

local function skip_space(text, at)
  return text:find("%S", at) or #text + 1
end

local function read_string(text, at)
  local quote, parts = text:sub(at, at), {}
  local from = at + 1
  while true do
    local stop = text:find(quote, from, true)
    if not stop then refuse("a text that begins with %s does not end", quote) end
    if text:sub(stop - 1, stop - 1) ~= "\\" then
      parts[#parts + 1] = text:sub(from, stop - 1)
      return table.concat(parts), stop + 1
    end
    parts[#parts + 1] = text:sub(from, stop - 2) .. quote
    from = stop + 1
  end
end

-- A name: `version`, `this.version`, `./version`, `[version]`.
local function read_path(text, at)
  local start, scoped = at, false
  for _, prefix in ipairs { "this.", "this/", "./" } do
    if text:sub(at, at + #prefix - 1) == prefix then
      at, scoped = at + #prefix, true
      break
    end
  end
  local name, after = text:match("^%[([^%]]*)%]()", at)
  if not name then
    local stop = select(2, text:find(id_pattern, at))
    if not stop or not text:find(id_end, stop + 1) then
      refuse("'%s' is no name", text:match("^[^%s}]*", start))
    end
    name, after = text:sub(at, stop), stop + 1
  end
  if text:find("^[./]", after) or name == "this" then
    refuse("'%s': there is nothing within a name", text:match("^[^%s})]*", start))
  end
  return { kind = "name", name = name, scoped = scoped }, after
end

local read_call

-- A parameter, or the whole of an expression without any.
local function read_value(text, at)
  local first = text:sub(at, at)
  if first == '"' or first == "'" then
    local value, after = read_string(text, at)
    return { kind = "text", value = value }, after
  end
  if first == "(" then
    local call, after = read_call(text, at + 1, "^%)")
    return call, after
  end
  if first == "@" or text:find("^%.%./", at) or text:find("^%.%.", at) then
    refuse("'%s' is not supported", text:match("^[^%s})]*", at))
  end
  local number, after = text:match("^(%-?%d+%.?%d*)()", at)
  if number and text:find("^[=~}%s/.)|]", after) and not number:find("%.$") then
    return { kind = "number", value = number }, after
  end
  local word
  word, after = text:match("^(%a+)()", at)
  if word and literals[word] and text:find("^[=~}%s)]", after) then
    return { kind = "literal", value = word }, after
  end
  return read_path(text, at)
end

-- HELPER PARAMETER… KEY=VALUE… up to what `stop` fits.
function read_call(text, at, stop)
  local call = { kind = "call", params = {}, hash = {} }
  at = skip_space(text, at)
  call.head, at = read_value(text, at)
  while true do
    local next_at = skip_space(text, at)
    local _, last = text:find(stop, next_at)
    if last then return call, last + 1 end
    if next_at > #text or next_at == at then
      refuse("cannot read '%s'", text:sub(at):match("^[^}]*"))
    end
    at = next_at
    local key, after = text:match("^([^%s!\"#%%&'()*+,./;<=>@%[\\%]^`{|}~]+)=()", at)
    if key then
      call.hash[#call.hash + 1] = { key = key }
      call.hash[#call.hash].value, at = read_value(text, after)
    elseif #call.hash > 0 then
      refuse("'%s' stands behind a KEY=VALUE", text:sub(at):match("^[^}]*"))
    else
      call.params[#call.params + 1], at = read_value(text, at)
    end
  end
end

-- ---- reading a template -----------------------------------------------------------------------------

local function add_text(list, text)
  if text == "" then return end
  if list.trim then
    text, list.trim = text:gsub("^%s+", ""), nil
  end
  list[#list + 1] = { kind = "content", value = text }
end

local function trim_last(list)
  local last = list[#list]
  if last and last.kind == "content" then last.value = last.value:gsub("%s+$", "") end
end

local blocks = { ["if"] = true, unless = true }
local others = { each = true, with = true, lookup = true, log = true }

local function open_block(stack, call)
  local name = call.head.kind == "name" and call.head.name
  if not blocks[name] then refuse("the block '#%s' is not supported; there are if and unless", tostring(name)) end
  if #call.params ~= 1 then refuse("#%s takes exactly one condition", name) end
  local block = { kind = "block", name = name, call = call, body = {}, otherwise = {} }
  local list = stack[#stack].list
  list[#list + 1] = block
  stack[#stack + 1] = { block = block, list = block.body }
end

local function close_block(stack, name)
  local top = stack[#stack]
  if not top.block then refuse("'{{/%s}}' closes nothing", name) end
  if top.outer_name or top.block.name ~= name then
    if top.outer_name ~= name then
      refuse("'{{/%s}}' closes '{{#%s}}'", name, top.outer_name or top.block.name)
    end
  end
  repeat
    local chained = stack[#stack].chained
    stack[#stack] = nil
  until not chained
end

local function other_branch(stack, rest)
  local top = stack[#stack]
  if not top.block or top.list == top.block.otherwise then refuse("'{{else}}' without '{{#if}}'") end
  top.list = top.block.otherwise
  if not rest then return end
  open_block(stack, rest)
  stack[#stack].chained = true
  stack[#stack].outer_name = top.outer_name or top.block.name
end

-- One `{{…}}` that begins at `at`. @return where the text goes on
local function read_mustache(template, at, stack)
  local comment = template:match("^{{~?!%-%-.-%-%-~?}}()", at)
    or not template:find("^{{~?!%-%-", at) and template:match("^{{~?![^}]*}}()", at)
  if template:find("^{{~?!", at) then
    if not comment then refuse("a comment does not end") end
    if template:find("^{{~", at) then trim_last(stack[#stack].list) end
    stack[#stack].list.trim = template:sub(comment - 3, comment - 3) == "~" or nil
    return comment
  end
  if template:find("^{{{{", at) then refuse("raw blocks '{{{{' are not supported") end
  local triple = template:find("^{{~?{", at) ~= nil
  local open = triple and "^{{(~?){%s*()" or "^{{(~?)([#^/&>]?)%s*()"
  local tilde, mark, from
  if triple then
    tilde, from = template:match(open, at)
    mark = ""
  else
    tilde, mark, from = template:match(open, at)
  end
  if tilde == "~" then trim_last(stack[#stack].list) end
  local stop = triple and "^}~?}}" or "^~?}}"
  local after
  if mark == ">" then refuse("partials '{{>' are not supported") end
  if mark == "/" then
    local name
    name, after = template:match("^([^%s}~]+)%s*~?}}()", from)
    if not name then refuse("a closing '{{/' does not end") end
    close_block(stack, name)
  elseif mark == "" and not triple and template:find("^else%s*~?}}", from) then
    after = template:match("^else%s*~?}}()", from)
    other_branch(stack)
  elseif mark == "" and not triple and template:find("^else%s", from) then
    local call
    call, after = read_call(template, from + 4, stop)
    other_branch(stack, call)
  elseif mark == "^" then
    after = template:match("^~?}}()", from)
    if not after then refuse("'{{^NAME}}' is not supported") end
    other_branch(stack)
  else
    local call
    call, after = read_call(template, from, stop)
    if mark == "#" then
      open_block(stack, call)
    else
      local list = stack[#stack].list
      list[#list + 1] = { kind = "value", call = call, raw = triple or mark == "&" }
    end
  end
  stack[#stack].list.trim = template:sub(after - 3, after - 3) == "~" or nil
  return after
end

local function compile(template)
  local root = {}
  local stack, at = { { list = root } }, 1
  while at <= #template do
    local open = template:find("{{", at, true)
    if not open then break end
    local list = stack[#stack].list
    local before = template:sub(at, open - 1)
    if before:sub(-2) == "\\\\" then -- a backslash, then an expression
      add_text(list, before:sub(1, -2))
      at = read_mustache(template, open, stack)
    elseif before:sub(-1) == "\\" then -- two braces as they are, up to the next expression
      local next_open = template:find("{{", open + 2, true)
      add_text(list, before:sub(1, -2) .. template:sub(open, (next_open or #template + 1) - 1))
      at = next_open or #template + 1
      if next_open then at = read_mustache(template, next_open, stack) end
    else
      add_text(list, before)
      at = read_mustache(template, open, stack)
    end
  end
  add_text(stack[#stack].list, template:sub(at))
  if stack[#stack].block then refuse("'{{#%s}}' is not closed", stack[#stack].block.name) end
  return root
end

local function nodes_of(template)
  local nodes = compiled[template]
  if not nodes then
    nodes = compile(template)
    compiled[template] = nodes
  end
  return nodes
end

-- ---- evaluating -------------------------------------------------------------------------------------

local escapes = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#x27;",
                  ["`"] = "&#x60;", ["="] = "&#x3D;" }

local evaluate

local function value_of(node, names)
  if node.kind == "text" then return node.value end
  if node.kind == "number" then return tonumber(node.value) end
  if node.kind == "literal" then
    if node.value == "true" or node.value == "false" then return node.value == "true" end
    return nil
  end
  if node.kind == "call" then return evaluate(node, names) end
  return names[node.name]
end

-- The whole of an expression. A function of `names` gets its parameters, their number and KEY=VALUE.
function evaluate(call, names)
  local head = call.head
  local key = head.kind == "name" and head.name or tostring(head.value)
  local found = names[key]
  if (others[key] or blocks[key]) and not head.scoped then refuse("'%s' is not supported here", key) end
  local given = #call.params + #call.hash > 0
  if type(found) ~= "function" then
    if given then refuse("'%s' takes no parameters here; is the name right?", key) end
    return found
  end
  local params, hash = {}, {}
  for i, param in ipairs(call.params) do params[i] = value_of(param, names) end
  for _, pair in ipairs(call.hash) do hash[#hash + 1] = { pair.key, value_of(pair.value, names) } end
  return found(params, #call.params, hash)
end

local function is_true(call, names)
  local value = value_of(call.params[1], names)
  if type(value) == "function" then value = value({}, 0, {}) end
  return value ~= nil and value ~= false and value ~= "" and value ~= 0
end

local function render_nodes(nodes, names, out)
  for _, node in ipairs(nodes) do
    if node.kind == "content" then
      out[#out + 1] = node.value
    elseif node.kind == "value" then
      local value = evaluate(node.call, names)
      local text = value == nil and "" or tostring(value)
      out[#out + 1] = node.raw and text or text:gsub("[&<>\"'`=]", escapes)
    else
      local holds = is_true(node.call, names) == (node.name == "if")
      render_nodes(holds and node.body or node.otherwise, names, out)
    end
  end
end

-- render(template, names) -> text. Raises { handlebars = WHAT } for a template that cannot be used.
function handlebars.render(template, names)
  if not template:find("{{", 1, true) then return template end
  local out = {}
  render_nodes(nodes_of(template), names, out)
  return table.concat(out)
end

-- Is the template nothing but {{raw}}?
function handlebars.is_raw(template)
  if not template:find("{{", 1, true) then return false end
  local ok, nodes = pcall(nodes_of, template)
  local only = ok and #nodes == 1 and nodes[1]
  return only and only.kind == "value" and only.call.head.kind == "name" and only.call.head.name == "raw" or false
end

return handlebars
