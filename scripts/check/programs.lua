-- What is known of programs' command lines: enough to find the subcommand behind global options, and
-- the packages behind those of the subcommand.

local programs = {}

local function set(text)
  local found = {}
  for word in text:gmatch("%S+") do found[word] = true end
  return found
end

-- Programs that run the one behind them, with those of their options that take a value.
programs.wrappers = {
  sudo = { values = set "-u -g -h -p -C -D -R -T --user --group --chdir", assignments = true },
  doas = { values = set "-u -C" },
  env = { values = set "-u --unset -C --chdir", assignments = true },
  command = { values = {} },
  exec = { values = set "-a" },
  nohup = { values = {} },
  time = { values = set "-f -o" },
  nice = { values = set "-n --adjustment" },
  ionice = { values = set "-c -n" },
  eatmydata = { values = {} },
  timeout = { values = set "-s -k --signal --kill-after" },
  builtin = { values = {} },
}

programs.aliases = {
  ["apt"] = "apt", ["microdnf"] = "microdnf", ["dnf5"] = "dnf", ["dnf-3"] = "dnf", ["nodejs"] = "node",
}

-- Options that take their value as the next word.
programs.values = {
  ["apt-get"] = set("-o --option -t --target-release --default-release -c --config-file -a "
                   .. "--host-architecture"),
  ["apt"] = set "-o --option -t --target-release -c --config-file -a",
  ["zypper"] = set("-c --config -D --reposd-dir -C --cache-dir --raw-cache-dir --solv-cache-dir --pkg-cache-dir "
                   .. "-R --root --installroot -p --plus-repo --plus-content -r --repo --from -t --type "
                   .. "--solver-focus --download --capability"),
  ["dnf"] = set("-c --config --installroot --releasever --setopt --enablerepo --disablerepo --repo "
               .. "--repoid -x --exclude"),
  ["yum"] = set "-c --config --installroot --releasever --setopt --enablerepo --disablerepo -x --exclude",
  ["microdnf"] = set "--config --installroot --releasever --setopt --enablerepo --disablerepo",
  ["tdnf"] = set "-c --config --installroot --releasever --setopt --enablerepo --disablerepo",
  ["apk"] = set("-p --root -X --repository --arch --keys-dir --cache-dir --repositories-file --wait -t "
               .. "--virtual"),
  ["pip"] = set("-r --requirement -c --constraint -e --editable -t --target -i --index-url --extra-index-url "
                .. "-f --find-links --trusted-host --proxy --prefix --root --cache-dir --python --log --cert "
                .. "--no-binary --only-binary --platform --python-version --implementation --abi --src --timeout "
                .. "--retries --progress-bar --root-user-action --build -b --global-option --install-option "
                .. "--config-settings --upgrade-strategy"),
  ["npm"] = set "--prefix --registry --cache --userconfig --globalconfig --loglevel -w --workspace --tag",
  ["yarn"] = set "--cwd --registry --cache-folder --modules-folder --network-timeout",
  ["gem"] = set("-v --version -i --install-dir -n --bindir -s --source --platform -P --trust-policy "
               .. "--use-system-libraries"),
  ["git"] = set "-C -c --git-dir --work-tree --namespace --exec-path -b --branch --depth -o --origin",
  ["curl"] = set("-o --output -H --header -d --data -X --request -u --user -A --user-agent -e --referer -b --cookie "
                 .. "-c --cookie-jar --retry --retry-delay --retry-max-time --connect-timeout -m --max-time --proto "
                 .. "--proto-default --tlsv --cacert --cert --key -x --proxy -T --upload-file -w --write-out "
                 .. "--output-dir --limit-rate -E -F --form --resolve --data-raw --data-binary"),
  ["wget"] = set("-O --output-document -o --output-file -a --append-output -P --directory-prefix -U --user-agent "
                 .. "--header -t --tries -T --timeout --user --password -e --execute"),
  ["go"] = set "-C",
  ["cargo"] = set("--manifest-path --target --target-dir -p --package --features -j --jobs --root --version "
                 .. "--git --branch --tag --rev"),
  ["useradd"] = set "-u --uid -g --gid -G --groups -d --home-dir -s --shell -c --comment -p --password -k -K -b",
  ["tar"] = set "-f --file -C --directory",
}

programs.mount_keys = { dst = "target", destination = "target", src = "source" }

return programs
