-- Dates in tags: the format tokens of moment.js, in English.
--
--   moment.format(ms, "YYYYMMDD-HHmmss", "Asia/Tokyo")

local moment = {}

local months = { "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
                 "November", "December" }
local days = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" }

local long_forms = {
  LTS = "h:mm:ss A", LT = "h:mm A", L = "MM/DD/YYYY", LL = "MMMM D, YYYY", LLL = "MMMM D, YYYY h:mm A",
  LLLL = "dddd, MMMM D, YYYY h:mm A", l = "M/D/YYYY", ll = "MMM D, YYYY", lll = "MMM D, YYYY h:mm A",
  llll = "ddd, MMM D, YYYY h:mm A",
}

-- ---- the calendar -----------------------------------------------------------------------------------

-- Days since 1970-01-01 of a day of the Gregorian calendar, and back.
local function day_number(year, month, day)
  if month <= 2 then year = year - 1 end
  local era = year // 400
  local of_era = year - era * 400
  local of_year = (153 * (month + (month > 2 and -3 or 9)) + 2) // 5 + day - 1
  return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
end

local function civil(number)
  number = number + 719468
  local era = number // 146097
  local of_era = number - era * 146097
  local year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
  local of_year = of_era - (365 * year + year // 4 - year // 100)
  local month = (5 * of_year + 2) // 153
  local day = of_year - (153 * month + 2) // 5 + 1
  month = month + (month < 10 and 3 or -9)
  return year + era * 400 + (month <= 2 and 1 or 0), month, day
end

-- The fields of a moment in a zone that is `offset` seconds before UTC.
local function fields_of(ms, offset, zone)
  local seconds = ms // 1000 + offset
  local number, rest = seconds // 86400, seconds % 86400
  local year, month, day = civil(number)
  return {
    ms = ms, offset = offset, zone = zone, year = year, month = month, day = day, number = number,
    hour = rest // 3600, minute = rest // 60 % 60, second = rest % 60, millisecond = ms % 1000,
    weekday = (number + 4) % 7, of_year = number - day_number(year, 1, 1) + 1,
  }
end

-- The week of a day, and the year that the week belongs to. `first` is the weekday that weeks begin with;
-- the week that has January `anchor` is the first one.
local function week_of(date, first, anchor)
  local function begin(year)
    local number = day_number(year, 1, anchor)
    return number - (number + 4 - first) % 7
  end
  local year = date.year
  if date.number >= begin(year + 1) then year = year + 1 elseif date.number < begin(year) then year = year - 1 end
  return (date.number - begin(year)) // 7 + 1, year
end

-- ---- numbers ----------------------------------------------------------------------------------------

local function pad(number, width)
  return (number < 0 and "-" or "") .. ("%0" .. width .. "d"):format(math.abs(number))
end

local function ordinal(number)
  local last, tens = number % 10, number // 10 % 10
  local ending = tens == 1 and "th" or last == 1 and "st" or last == 2 and "nd" or last == 3 and "rd" or "th"
  return number .. ending
end

local function offset_text(date, separator)
  local minutes = math.abs(date.offset) // 60
  return ("%s%02d%s%02d"):format(date.offset < 0 and "-" or "+", minutes // 60, separator, minutes % 60)
end

local function twelve(date)
  return (date.hour + 11) % 12 + 1
end


-- ---- the tokens -------------------------------------------------------------------------------------

local tokens = {}

-- X, XX and Xo of a number.
local function add(letter, number, without_two)
  tokens[letter] = function(date) return tostring(number(date)) end
  tokens[letter .. "o"] = function(date) return ordinal(number(date)) end
  if not without_two then tokens[letter .. letter] = function(date) return pad(number(date), 2) end end
end

local function week(date) return (week_of(date, 0, 1)) end
local function iso_week(date) return (week_of(date, 1, 4)) end
local function week_year(date) return (select(2, week_of(date, 0, 1))) end
local function iso_year(date) return (select(2, week_of(date, 1, 4))) end

add("M", function(date) return date.month end)
add("D", function(date) return date.day end)
add("w", week)
add("W", iso_week)
add("Q", function(date) return (date.month + 2) // 3 end, true)
add("d", function(date) return date.weekday end, true)
tokens.MMM = function(date) return months[date.month]:sub(1, 3) end
tokens.MMMM = function(date) return months[date.month] end
tokens.DDD = function(date) return tostring(date.of_year) end
tokens.DDDo = function(date) return ordinal(date.of_year) end
tokens.DDDD = function(date) return pad(date.of_year, 3) end
tokens.dd = function(date) return days[date.weekday + 1]:sub(1, 2) end
tokens.ddd = function(date) return days[date.weekday + 1]:sub(1, 3) end
tokens.dddd = function(date) return days[date.weekday + 1] end
tokens.e = tokens.d
tokens.E = function(date) return tostring((date.weekday + 6) % 7 + 1) end

tokens.Y = function(date) return date.year <= 9999 and pad(date.year, 4) or "+" .. date.year end
tokens.YY = function(date) return pad(math.fmod(date.year, 100), 2) end
tokens.YYYY = function(date) return pad(date.year, 4) end
tokens.YYYYY = function(date) return pad(date.year, 5) end
tokens.YYYYYY = function(date) return (date.year < 0 and "-" or "+") .. ("%06d"):format(math.abs(date.year)) end
tokens.gg = function(date) return pad(math.fmod(week_year(date), 100), 2) end
tokens.gggg = function(date) return pad(week_year(date), 4) end
tokens.ggggg = function(date) return pad(week_year(date), 5) end
tokens.GG = function(date) return pad(math.fmod(iso_year(date), 100), 2) end
tokens.GGGG = function(date) return pad(iso_year(date), 4) end
tokens.GGGGG = function(date) return pad(iso_year(date), 5) end

-- Eras: years of our time alone.
tokens.y = function(date) return tostring(date.year) end
tokens.yo = function(date) return ordinal(date.year) end
for width = 2, 4 do
  tokens[("y"):rep(width)] = function(date) return pad(date.year, width) end
end
for width = 1, 5 do
  tokens[("N"):rep(width)] = function() return width == 4 and "Anno Domini" or "AD" end
end

tokens.H = function(date) return tostring(date.hour) end
tokens.HH = function(date) return pad(date.hour, 2) end
tokens.h = function(date) return tostring(twelve(date)) end
tokens.hh = function(date) return pad(twelve(date), 2) end
tokens.k = function(date) return tostring(date.hour == 0 and 24 or date.hour) end
tokens.kk = function(date) return pad(date.hour == 0 and 24 or date.hour, 2) end
tokens.m = function(date) return tostring(date.minute) end
tokens.mm = function(date) return pad(date.minute, 2) end
tokens.s = function(date) return tostring(date.second) end
tokens.ss = function(date) return pad(date.second, 2) end
tokens.hmm = function(date) return twelve(date) .. pad(date.minute, 2) end
tokens.hmmss = function(date) return twelve(date) .. pad(date.minute, 2) .. pad(date.second, 2) end
tokens.Hmm = function(date) return date.hour .. pad(date.minute, 2) end
tokens.Hmmss = function(date) return date.hour .. pad(date.minute, 2) .. pad(date.second, 2) end
tokens.a = function(date) return date.hour < 12 and "am" or "pm" end
tokens.A = function(date) return date.hour < 12 and "AM" or "PM" end
for width = 1, 9 do
  tokens[("S"):rep(width)] = function(date)
    return (pad(date.millisecond, 3) .. "000000"):sub(1, width)
  end
end

tokens.z = function(date) return date.zone end
tokens.zz = tokens.z
tokens.Z = function(date) return offset_text(date, ":") end
tokens.ZZ = function(date) return offset_text(date, "") end
tokens.X = function(date) return tostring(date.ms // 1000) end
tokens.x = function(date) return tostring(date.ms) end

-- Which tokens begin with a letter, the longest first.
local by_letter = {}
for token in pairs(tokens) do
  local letter = token:sub(1, 1)
  by_letter[letter] = by_letter[letter] or {}
  table.insert(by_letter[letter], token)
end
for _, list in pairs(by_letter) do
  table.sort(list, function(a, b) return #a > #b end)
end

-- ---- formatting -------------------------------------------------------------------------------------

-- LT, L and the like stand for formats; what is in brackets or behind a backslash stays.
local function expand(format)
  local out, at = {}, 1
  while at <= #format do
    local literal = format:match("^%[[^%[]*%]", at)
    local slash = not literal and format:sub(at, at) == "\\" and 1 or 0
    local long = not literal and (format:match("^LTS", at + slash) or format:match("^LT", at + slash)
                                  or format:match("^LL?L?L?", at + slash) or format:match("^ll?l?l?", at + slash))
    local piece = literal or long and format:sub(at, at + slash + #long - 1) or format:sub(at, at)
    out[#out + 1] = long and slash == 0 and long_forms[long] or piece
    at = at + #piece
  end
  return table.concat(out)
end

local function token_at(format, at)
  for _, token in ipairs(by_letter[format:sub(at, at)] or {}) do
    if format:sub(at, at + #token - 1) == token then return token end
  end
  return nil
end

local function render(date, format)
  local out, at = {}, 1
  format = expand(format)
  while at <= #format do
    local literal = format:match("^%[[^%[]*%]", at)
    local escaped = not literal and format:sub(at, at) == "\\" and at < #format
    local token = not literal and token_at(format, escaped and at + 1 or at)
    local piece = literal or token or format:match("^[^\128-\191][\128-\191]*", escaped and at + 1 or at)
      or format:sub(at, at)
    if literal then
      out[#out + 1] = literal:sub(2, -2)
    elseif token and not escaped then
      out[#out + 1] = tokens[token](date)
    elseif piece ~= "\\" then
      out[#out + 1] = piece
    end
    at = at + #piece + (escaped and 1 or 0)
  end
  return table.concat(out)
end

-- format(ms, format or nil, zone) -> text, or nothing for a zone that is not known
function moment.format(ms, format, zone)
  local offset, name = 0, "UTC"
  if zone ~= "UTC" then
    offset, name = core.zone(zone, ms // 1000)
    if not offset then return nil end
  end
  if not format or format == "" then format = "YYYY-MM-DDTHH:mm:ss" .. (offset == 0 and "[Z]" or "Z") end
  return render(fields_of(ms, offset, name), format)
end

-- "2020-01-10T00:30:00.000Z"
function moment.iso(ms)
  return render(fields_of(ms, 0, "UTC"), "YYYY-MM-DDTHH:mm:ss.SSS[Z]")
end

return moment
