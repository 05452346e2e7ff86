"""strake tags: rules, the lines of docker/metadata-action, and which of them gave or withheld a tag."""

import json
import re

import pytest

from harness.program import ROOT, commit, run_git

TABLE = json.loads((ROOT / "tests/data/tags/metadata.json").read_text())
DOCKERFILE = "FROM scratch\n"


def quoted(text: str) -> str:
    """A string of Lua that is exactly this text."""
    return "[====[\n" + text + "]====]"


def lines(**lists) -> str:
    fields = (f"{key} = {{ {', '.join(map(quoted, value))} }}" for key, value in lists.items() if value is not None)
    return "tags.metadata { " + ", ".join(fields) + " }"


def declared(text: str, image: str = "'ghcr.io/acme/boat'") -> dict:
    return {"Dockerfile": DOCKERFILE, "strake.lua": f"target 'app' {{ image = {image}, tags = {text} }}\n"}


@pytest.fixture
def actions(strake, project, tmp_path):
    """actions(EVENT, text, env, words…): `strake tags` in a workflow that this event started."""

    def run(event: str, text: str, env: dict | None = None, *words, files: dict | None = None):
        known = TABLE["events"][event]
        variables = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "acme/boat",
                     "SOURCE_DATE_EPOCH": str(TABLE["now"]), **known["env"], **(env or {})}
        if known["payload"] is not None:
            path = tmp_path / "event.json"
            path.write_text(json.dumps(known["payload"]))
            variables.setdefault("GITHUB_EVENT_PATH", str(path))
        return strake("tags", *(words or ["--json"]), cwd=project(files or declared(text), git=False), env=variables)

    return run


# ---- tags.metadata -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("case", TABLE["cases"], ids=[case["name"] for case in TABLE["cases"]])
def test_metadata_gives_the_tags_of_the_action(actions, case):
    """Each expectation is what docker/metadata-action itself gave for these lines and this event."""
    done = actions(case["event"], lines(tags=case.get("tags"), flavor=case.get("flavor"), labels=case.get("labels")),
                   case.get("env"))
    assert done.exit == 0, done.err
    document = done.json()
    assert document["tags"] == case["want"]
    assert document["version"] == (case["want"] or [""])[0]
    assert document["refs"] == [f"ghcr.io/acme/boat:{tag}" for tag in case["want"]]
    assert document["labels"].pop("org.opencontainers.image.created") == "2026-03-29T00:30:00.000Z"
    if "want_labels" in case:
        assert document["labels"] == case["want_labels"]


@pytest.mark.parametrize("text, said", [
    ('{ tags = { "type=foo" } }', "tags line 1 'type=foo': unknown type 'foo'; there are schedule, semver, pep440"),
    ('{ tags = { "a", "type=semver" } }', "tags line 2 'type=semver': type=semver needs a pattern"),
    ('{ tags = { "type=match" } }', "type=match needs a pattern"),
    ('{ tags = { "type=match,pattern=x,group=y" } }', "the group 'y' is no number"),
    ('{ tags = { "type=ref" } }', "needs event=branch, event=tag or event=pr"),
    ('{ tags = { "type=ref,event=push" } }', "unknown event 'push'; there are branch, tag and pr"),
    ('{ tags = { "type=raw" } }', "type=raw needs a value"),
    ('{ tags = { "type=sha,format=medium" } }', "unknown format 'medium'; there are short and long"),
    ('{ tags = { "x,enable=yes" } }', "enable is true or false, and not 'yes'"),
    ('{ tags = { "x,enable={{tag}}" } }', "enable is true or false, and not 'v1.2.3'"),
    ('{ tags = { "x,priority=high" } }', "the priority 'high' is no number"),
    ('{ tags = { "{{date}}" } }', "date needs a format: {{date 'YYYYMMDD'}}"),
    ('{ tags = { "{{date 1}}" } }', "the format of date is a text in quotes"),
    ("""{ tags = { "value={{date 'x' zz='y'}}" } }""", "date has no attribute 'zz'; there is tz"),
    ("""{ tags = { "value={{date 'x' tz='Mars/Base'}}" } }""", "there is no time zone 'Mars/Base'"),
    ("""{ tags = { "value={{date 'x' tz='../../etc/passwd'}}" } }""", "there is no time zone '../../etc/passwd'"),
    ('{ tags = { "{{foo \'x\'}}" } }', "'foo' takes no parameters here"),
    ('{ tags = { "{{branch" } }', "tags line 1 '{{branch': '"),
    ('{ tags = { "{{#if tag}}x" } }', "'{{#if}}' is not closed"),
    ('{ tags = { "{{#if tag}}x{{/unless}}" } }', "'{{/unless}}' closes '{{#if}}'"),
    ('{ tags = { "x{{/if}}" } }', "'{{/if}}' closes nothing"),
    ('{ tags = { "{{#each tag}}x{{/each}}" } }', "the block '#each' is not supported; there are if and unless"),
    ('{ tags = { "{{> part}}" } }', "partials '{{>' are not supported"),
    ('{ tags = { "{{tag.length}}" } }', "there is nothing within a name"),
    ('{ tags = { "type=match,pattern=(" } }', "'(' is no regular expression"),
    ('{ tags = { "type=match,pattern=a++" } }', "there is nothing to repeat"),
    ('{ tags = { "type=match,pattern=/x/q" } }', "'q' are no flags"),
    ('{ tags = { [[type=match,value=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!,pattern=^(a+)+$]] } }', "takes too many steps"),
    ('{ tags = { "type=semver,pattern={{version}},match=v1" } }', "match=v1 has no group that could be the version"),
    ('{ tags = { [[value="x]] } }', "a quote within a field"),
    ("{ tags = { '\"value=x' } }", "a quoted field does not end"),
    ("{ tags = { '\"value=x\"y' } }", "after a quoted field stands 'y' and no comma"),
    ('{ tags = { 3 } }', "tags must be a list of lines, line 1 is a number"),
    ('{ tags = { x = "y" } }', "tags must be a list of lines, and has the name 'x'"),
    ('{ tags = 3 }', "tags must be a list of lines, got a number"),
    ('{ flavor = { "latest=maybe" } }', "flavor line 1 'latest=maybe': latest is auto, true or false"),
    ('{ flavor = { "prefx=x" } }', "unknown attribute 'prefx'"),
    ('{ flavor = { "prefix" } }', "'prefix' is no KEY=VALUE"),
    ('{ flavor = { "prefix=x,onlatest=perhaps" } }', "onlatest is true or false"),
    ('{ images = { "name=x,enabled=true" } }', "unknown attribute 'enabled'"),
    ('{ images = { "enable=true" } }', "names no repository"),
    ('{ tag = { "x" } }', "tags.metadata has no option 'tag'"),
    ('"type=sha"', "tags.metadata takes a table"),
])
def test_a_mistake_in_a_line_names_it_and_its_place(actions, text, said):
    source = f"-- one\n\ntarget 'app' {{ {'' if 'images' in text else 'image = [[h/x]],'} tags = tags.metadata({text}) }}\n"
    done = actions("v1.2.3", "", None, "--json", files={"Dockerfile": DOCKERFILE, "strake.lua": source})
    assert done.exit == 3, done.out + done.err
    error = done.json()["error"]
    assert said in error["message"] and error["kind"] == "config"
    assert (error["file"], error["line"]) == ("strake.lua", 3)


@pytest.mark.parametrize("text, warned", [
    ('{ tags = { "x,lates=true" } }', "tags line 1 'x,lates=true': there is no attribute 'lates', it means nothing"),
    ('{ tags = { "x" }, labels = { "K" } }', "labels line 1 'K' is no KEY=VALUE, it means nothing"),
])
def test_what_means_nothing_is_told_and_passed_over(actions, text, warned):
    done = actions("trunk", "tags.metadata " + text)
    assert done.exit == 0 and done.json()["tags"] == ["x"]
    assert warned in done.err


def test_lines_may_be_one_text_as_in_a_workflow(actions):
    text = 'tags.metadata { tags = [[\n    type=ref,event=tag\n\n    # a comment\n    type=sha\n  ]] }'
    assert actions("v1.2.3", text).json()["tags"] == ["v1.2.3", "sha-4f1c0b6", "latest"]


def test_labels_and_annotations_go_into_the_plan(strake, project):
    folder = project({"Dockerfile": DOCKERFILE, "strake.lua": """
local meta = tags.metadata { tags = { "1.5" }, labels = { "k=v", "org.opencontainers.image.title=Boat" },
                             annotations = { "a=b" } }
target "app" { image = "h.example/Acme/App", tags = meta, labels = { k = "own" }, args = { VERSION = meta.version } }
"""})
    env = {"SOURCE_DATE_EPOCH": "1700000000"}
    done = strake("plan", "--json", cwd=folder, env={**env, "BUILDKIT_HOST": "tcp://127.0.0.1:1"})
    assert done.exit == 0, done.err
    target = done.json()["targets"][0]
    assert target["image"] == "h.example/acme/app" and target["tags"] == ["1.5"]
    assert target["args"] == {"VERSION": "1.5"}
    assert target["labels"]["k"] == "own", "what the target says itself wins"
    assert target["labels"]["org.opencontainers.image.title"] == "Boat"
    assert target["labels"]["org.opencontainers.image.version"] == "1.5"
    assert target["labels"]["org.opencontainers.image.created"] == "2023-11-14T22:13:20.000Z"
    assert target["labels"]["org.opencontainers.image.revision"] == run_git(folder, "rev-parse", "HEAD")
    document = strake("tags", "--json", cwd=folder, env=env).json()
    assert document["annotations"]["a"] == "b" and document["annotations"]["org.opencontainers.image.version"] == "1.5"
    assert document["labels"] == target["labels"]


def test_without_annotations_there_are_none(actions):
    assert actions("trunk", 'tags.metadata { tags = { "x" } }').json()["annotations"] == {}


@pytest.mark.parametrize("image", ["{ 'GHCR.io/Acme/A', 'docker.io/acme/b', 'name=acme/c,enable=false' }"])
def test_an_image_may_be_a_list(actions, image):
    files = declared('tags.metadata { tags = { "y", "x" } }', image)
    document = actions("trunk", "", None, "--json", files=files).json()
    assert document["image"] == "ghcr.io/acme/a"
    assert document["refs"] == ["ghcr.io/acme/a:y", "ghcr.io/acme/a:x", "docker.io/acme/b:y", "docker.io/acme/b:x"]


def test_images_may_stand_among_the_lines(actions):
    text = 'tags.metadata { images = { "acme/App", "name=ghcr.io/acme/App,enable=true" }, tags = { "x" } }'
    files = {"Dockerfile": DOCKERFILE, "strake.lua": f"target 'app' {{ tags = {text} }}\n"}
    assert actions("trunk", "", None, "--json", files=files).json()["refs"] == ["acme/app:x", "ghcr.io/acme/app:x"]
    files["strake.lua"] = files["strake.lua"].replace("{ tags", "{ image = 'h/x', tags", 1)
    assert "give either `image`, or `images` in tags.metadata" in actions("trunk", "", None, files=files).err


# ---- where facts come from -------------------------------------------------------------------------------------

LINES = 'tags.metadata { tags = { "type=semver,pattern={{version}}", "type=ref,event=branch", "type=edge", "type=sha" } }'


def test_outside_of_actions_git_is_asked(strake, project):
    folder = project(declared(LINES))
    sha = "sha-" + run_git(folder, "rev-parse", "HEAD")[:7]
    assert strake("tags", "--json", cwd=folder).json()["tags"] == ["edge", "main", sha]
    run_git(folder, "checkout", "-q", "-b", "feature/x")
    assert strake("tags", "--json", cwd=folder).json()["tags"] == ["feature-x", sha]
    run_git(folder, "tag", "v1.2.3")
    assert strake("tags", "--json", cwd=folder).json()["tags"] == ["1.2.3", sha, "latest"]
    run_git(folder, "checkout", "-q", "--detach")
    assert strake("tags", "--json", cwd=folder).json()["tags"] == ["1.2.3", sha, "latest"]


def test_outside_of_a_repository_there_is_no_fact_and_no_error(strake, project):
    document = strake("tags", "--json", cwd=project(declared(LINES), git=False)).json()
    assert (document["tags"], document["version"], document["refs"]) == ([], "", [])


@pytest.mark.parametrize("remote, url", [
    ("git@github.com:acme/boat.git", "https://github.com/acme/boat"),
    ("https://user:secret@github.com/acme/boat.git", "https://github.com/acme/boat"),
    ("ssh://git@git.example.org:2222/acme/boat", "https://git.example.org/acme/boat"),
    ("/srv/git/boat.git", None),
])
def test_the_source_is_where_people_read_it(strake, project, remote, url):
    folder = project(declared(LINES))
    run_git(folder, "remote", "add", "origin", remote)
    labels = strake("tags", "--json", cwd=folder).json()["labels"]
    assert labels.get("org.opencontainers.image.source") == url
    assert labels.get("org.opencontainers.image.title") == (url and "boat")


def test_the_time_of_a_commit_is_asked_of_git_where_the_event_has_none(strake, project, tmp_path):
    folder = project(declared('tags.metadata { tags = { "{{commit_date \'X\'}}" } }'))
    head = run_git(folder, "rev-parse", "HEAD")
    env = {"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/heads/main", "GITHUB_SHA": head, "GITHUB_EVENT_NAME": "push",
           "GITHUB_EVENT_PATH": str(tmp_path / "none.json"), "SOURCE_DATE_EPOCH": "1700000000"}
    assert strake("tags", "--json", cwd=folder, env=env).json()["tags"] == [run_git(folder, "log", "-1", "--format=%ct")]
    env["GITHUB_SHA"] = "--output=/tmp/x"
    assert strake("tags", "--json", cwd=folder, env=env).json()["tags"] == ["1700000000"], "else it is now"


@pytest.mark.parametrize("content, said", [
    ("{", "event.json"), ("[]", "is no JSON object"), ('{"a":1}{', "event.json"), ('{"a":1,"a":2}', "event.json"),
])
def test_an_event_that_is_no_event_is_refused(strake, project, tmp_path, content, said):
    path = tmp_path / "event.json"
    path.write_text(content)
    env = {"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/tags/v1", "GITHUB_EVENT_PATH": str(path)}
    done = strake("tags", "--json", cwd=project(declared(LINES)), env=env)
    assert done.exit == 3 and said in done.json()["error"]["message"]


def test_an_event_file_that_is_none_does_not_hang(strake, project):
    env = {"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/tags/v1", "GITHUB_EVENT_PATH": "/dev/zero"}
    done = strake("tags", "--json", cwd=project(declared(LINES)), env=env, timeout=20)
    assert done.exit == 3 and "/dev/zero" in done.json()["error"]["message"]


@pytest.mark.parametrize("epoch", ["x", "-1", "1e9", "99999999999999999999"])
def test_a_source_date_that_is_no_time_is_refused(strake, project, epoch):
    done = strake("tags", "--json", cwd=project(declared(LINES)), env={"SOURCE_DATE_EPOCH": epoch})
    assert done.exit == 3 and "SOURCE_DATE_EPOCH is no time" in done.json()["error"]["message"]


def test_pull_request_target_without_a_number_is_refused(actions):
    done = actions("pr-target", LINES, {"GITHUB_EVENT_PATH": "/nonexistent"})
    assert done.exit == 3 and "has no `number`" in done.json()["error"]["message"]


# ---- what ships ------------------------------------------------------------------------------------------------

def test_the_default_is_latest_version_commit_and_branch(strake, project):
    folder = project(declared("tags.default()"))
    sha = "sha-" + run_git(folder, "rev-parse", "HEAD")[:7]

    def tags():
        return strake("tags", "--json", cwd=folder).json()["tags"]

    assert tags() == [sha, "latest"]
    run_git(folder, "tag", "v1.2.3")
    assert tags() == ["v1.2.3", sha, "latest"]
    run_git(folder, "checkout", "-q", "-b", "feature/x")
    assert tags() == ["v1.2.3", "feature-x", sha]
    run_git(folder, "checkout", "-q", "--detach")
    assert tags() == ["v1.2.3", sha]


def test_the_default_knows_what_the_remote_calls_its_main_branch(strake, project):
    folder = project(declared("tags.default()"))
    run_git(folder, "branch", "-m", "trunk")
    run_git(folder, "update-ref", "refs/remotes/origin/trunk", "HEAD")
    run_git(folder, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    assert "latest" in strake("tags", "--json", cwd=folder).json()["tags"]


@pytest.mark.parametrize("name", ["dev", "claude"])
def test_a_session_has_a_tag_of_its_own(strake, project, name):
    folder = project(declared(f"tags.session '{name}'"))
    assert strake("tags", "--json", cwd=folder, env={"SOURCE_DATE_EPOCH": "1700000000"}).json()["tags"] \
        == [f"{name}-20231114-221320"]
    assert re.fullmatch(name + r"-20\d{6}-\d{6}", strake("tags", "--json", cwd=folder).json()["version"])


@pytest.mark.parametrize("call", ["tags.session()", "tags.session ''", "tags.session(3)", "tags.session '...'"])
def test_a_session_needs_a_name(strake, project, call):
    done = strake("tags", cwd=project(declared(call)))
    assert done.exit == 3 and 'tags.session takes a name: tags.session "dev"' in done.err and "strake.lua:1" in done.err


def test_a_flow_may_build_with_tags_of_the_lines(strake, project):
    """The labels come along: asked of a plan policy, since nothing can be built from scratch."""
    source = """
target "app" { image = "h.example/x" }
policy "look" { at = "plan", check = function(plan)
  deny(plan.tags[1] .. " " .. plan.labels.K .. " " .. plan.labels.L)
end }
flow "f" { run = function()
  build("app", { tags = tags.metadata { tags = { "9" }, labels = { "K=V", "L=M" } }, labels = { L = "own" } })
end }
"""
    done = strake("run", "f", cwd=project({"Dockerfile": DOCKERFILE, "strake.lua": source}))
    assert done.exit == 4 and "9 V own" in done.err


# ---- why -------------------------------------------------------------------------------------------------------

def rules(done) -> list:
    assert done.exit == 0, done.err
    return [(rule["rule"], rule.get("tag"), rule.get("why")) for rule in done.json()["rules"]]


def test_explain_says_what_became_of_each_rule(strake, project):
    folder = project(declared('tags.rules { { "latest", when = git.branch == "main" }, { "{tag}", when = git.tag }, '
                              '"sha-{sha}", { "{branch}", when = git.branch ~= "main" }, "v-{tag}", "la test", '
                              '{ "la+test", when = true }, "...", { git.tag }, "x" }'))
    sha = run_git(folder, "rev-parse", "HEAD")[:7]
    assert rules(strake("tags", "--explain", "--json", cwd=folder)) == [
        ("latest", "latest", "its `when` holds"),
        ("{tag}", None, "its `when` does not hold"),
        ("sha-{sha}", f"sha-{sha}", f"{{sha}} is {sha}"),
        ("{branch}", None, "its `when` does not hold"),
        ("v-{tag}", None, "there is no {tag}"),
        ("la test", "la-test", None),
        ("la+test", None, "given before"),
        ("...", None, "nothing of it can be in a tag"),
        ("(a fact that does not exist)", None, "its `when` does not hold"),
        ("x", "x", None),
    ]


def test_explain_says_what_became_of_each_line(actions):
    text = lines(tags=["type=semver,pattern={{version}}", "type=schedule", "type=ref,event=branch", "type=ref,event=pr",
                       "type=edge", "type=sha,enable={{is_default_branch}}", "type=raw,value=1.2.3", "type=raw,value=",
                       "type=match,pattern=w(.)", "type=match,pattern=v(.),group=3", "type=pep440,pattern={{major}},value=x"])
    done = actions("v1.2.3", text, None, "--explain", "--json")
    assert rules(done) == [
        ("type=schedule", None, "the event is not a schedule"),
        ("type=semver,pattern={{version}}", "1.2.3", None),
        ("type=pep440,pattern={{major}},value=x", None, "'x' is no PEP 440 version"),
        ("type=match,pattern=w(.)", None, "w(.) does not match 'v1.2.3'"),
        ("type=match,pattern=v(.),group=3", None, "v(.) has no group 3 in 'v1.2.3'"),
        ("type=edge", None, "refs/tags/v1.2.3 is no branch"),
        ("type=ref,event=branch", None, "refs/tags/v1.2.3 is no branch"),
        ("type=ref,event=pr", None, "refs/tags/v1.2.3 is no pull request"),
        ("type=raw,value=1.2.3", None, "given before"),
        ("type=raw,value=", None, "its value is empty"),
        ("type=sha,enable={{is_default_branch}}", None, "enable={{is_default_branch}} is false"),
        ("flavor latest=auto", "latest",
         "the first tag, of 'type=semver,pattern={{version}}', is a release"),
    ]
    assert done.json()["tags"] == ["1.2.3", "latest"]


def test_explain_for_people_is_one_rule_a_line(strake, project):
    folder = project(declared("tags.default()"))
    sha = run_git(folder, "rev-parse", "HEAD")[:7]
    assert strake("tags", "--explain", cwd=folder).out == (
        "-            {tag}      its `when` does not hold\n"
        "-            {branch}   its `when` does not hold\n"
        f"sha-{sha}  sha-{{sha}}  {{sha}} is {sha}\n"
        "latest       latest     its `when` holds\n")


def test_explain_tells_a_plain_list_and_what_was_done_to_a_list(strake, project):
    plain = project(declared("{ 'a', 'b' }"))
    assert rules(strake("tags", "--explain", "--json", cwd=plain)) == [
        ("a", "a", "written in strake.lua"), ("b", "b", "written in strake.lua")]
    changed = project({"Dockerfile": DOCKERFILE, "strake.lua": """
local list = tags.rules { "a", "b" }
table.remove(list, 1)
table.insert(list, "c")
target "app" { image = "h/x", tags = list }
"""})
    assert rules(strake("tags", "--explain", "--json", cwd=changed)) == [
        ("a", None, "taken out of the list"), ("b", "b", None), ("c", "c", "written in strake.lua")]


def test_explain_of_a_target_without_tags_says_how_to_get_some(strake, project):
    folder = project({"Dockerfile": DOCKERFILE, "strake.lua": "target 'app' { image = 'h/x' }\n"})
    assert "tags = tags.default()" in strake("tags", "--explain", cwd=folder).out
    assert strake("tags", "--explain", "--json", cwd=folder).json()["rules"] == []


def test_explain_tells_which_policy_changes_the_tags(strake, project):
    files = declared("{ 'a', 'latest' }")
    files["strake.lua"] += """
policy "no latest" { at = "plan", check = function(plan) plan.tags = { "a", "stable" } end }
policy "calm" { at = "plan", check = function() end }
"""
    folder = project(files)
    document = strake("tags", "--explain", "--json", cwd=folder).json()
    assert document["rules"][-1] == {"rule": 'policy "no latest"', "why": "takes away latest, adds stable",
                                     "file": "strake.lua", "line": 3}
    assert 'policy "no latest"' in strake("tags", "--explain", cwd=folder).out
    (folder / "Dockerfile").unlink()
    commit(folder)
    last = strake("tags", "--explain", "--json", cwd=folder).json()["rules"][-1]
    assert last["rule"] == "policies at plan" and last["why"].startswith("not asked: target app: there is no Dockerfile")
