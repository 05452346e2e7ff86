-- When the support of base images ends: the day on which their makers said that fixes stop, as of 2026-11.

local support = {}

local ends = {
  ["debian"] = { ["8"] = "2020-06-30", jessie = "2020-06-30", ["9"] = "2022-06-30", stretch = "2022-06-30",
      ["10"] = "2024-06-30",
                 buster = "2024-06-30", ["11"] = "2026-08-31", bullseye = "2026-08-31", ["12"] = "2028-06-30",
                     bookworm = "2028-06-30" },
  ["ubuntu"] = { ["14.04"] = "2019-04-25", trusty = "2019-04-25", ["16.04"] = "2021-04-30", xenial = "2021-04-30",
                 ["18.04"] = "2023-05-31", bionic = "2023-05-31", ["20.04"] = "2025-05-31", focal = "2025-05-31",
                 ["22.04"] = "2027-06-01", jammy = "2027-06-01" },
  ["alpine"] = { ["3.12"] = "2022-05-01", ["3.13"] = "2022-11-01", ["3.14"] = "2023-05-01", ["3.15"] = "2023-11-01",
                 ["3.16"] = "2024-05-23", ["3.17"] = "2024-11-22", ["3.18"] = "2025-05-09", ["3.19"] = "2025-11-01",
                 ["3.20"] = "2026-04-01", ["3.21"] = "2026-11-01" },
  ["centos"] = { ["6"] = "2020-11-30", ["7"] = "2024-06-30", ["8"] = "2021-12-31" },
  ["opensuse/leap"] = { ["42.3"] = "2019-06-30", ["15.0"] = "2019-12-03", ["15.1"] = "2021-02-02",
      ["15.2"] = "2022-01-04",
                        ["15.3"] = "2022-12-31", ["15.4"] = "2023-12-07", ["15.5"] = "2024-12-31",
                            ["15.6"] = "2026-04-30" },
  ["fedora"] = { ["37"] = "2023-12-05", ["38"] = "2024-05-21", ["39"] = "2024-11-26", ["40"] = "2025-05-13" },
  ["python"] = { ["2.7"] = "2020-01-01", ["3.6"] = "2021-12-23", ["3.7"] = "2023-06-27", ["3.8"] = "2024-10-07",
      ["3.9"] = "2025-10-31" },
  ["node"] = { ["12"] = "2022-04-30", ["14"] = "2023-04-30", ["16"] = "2023-09-11", ["18"] = "2025-04-30",
      ["20"] = "2026-04-30" },
  ["php"] = { ["7.3"] = "2021-12-06", ["7.4"] = "2022-11-28", ["8.0"] = "2023-11-26", ["8.1"] = "2025-12-31" },
  ["ruby"] = { ["2.7"] = "2023-03-31", ["3.0"] = "2024-04-23", ["3.1"] = "2025-03-26" },
}

-- The day on which the support of an image's version ends, or nil: not known.
function support.over(image)
  local name = image:match("^[^@]*")
  local repository, tag = name:match("^(.*):([^:/]+)$")
  if not repository then return nil end
  repository = repository:gsub("^docker%.io/", ""):gsub("^registry%.opensuse%.org/", ""):gsub("^library/", "")
  local versions = ends[repository]
  if not versions then return nil end
  local version = tag:match("^[%w.]+")
  while version do -- 3.19.1 is of 3.19, bullseye-slim of bullseye
    if versions[version] then return versions[version] end
    version = version:match("^(.+)%.[^.]*$")
  end
  return nil
end

return support
