"""Where a build's files come from: standard input, git, and named contexts of each kind; through buildctl."""

import bz2
import gzip
import io
import json
import lzma
import os
import pty
import signal
import subprocess
import tarfile
import tempfile
import time

import pytest

from harness.program import make_project, run_git
from harness.servers import Git

DOCKERFILE = "FROM scratch\nCOPY . /all\n"


@pytest.fixture
def env(buildkit) -> dict:
    return {"BUILDKIT_HOST": buildkit.address}


@pytest.fixture
def out(tmp_path):
    """--output words for a folder, and the folder."""
    folder = tmp_path / "out"
    return ["--output", f"type=local,dest={folder}"], folder


# ---- standard input -------------------------------------------------------------------------------


def entry(name: str, kind=tarfile.REGTYPE, text: str = "", **fields) -> tuple:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mtime = kind, len(text.encode()), 1_600_000_000
    for field, value in fields.items():
        setattr(info, field, value)
    return info, io.BytesIO(text.encode())


def tar(*entries: tuple, form=tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for info, data in entries:
            archive.addfile(info, data)
    return buffer.getvalue()


@pytest.fixture
def feed(strake, tmp_path):
    """feed(bytes, words…): strake with these on its standard input; nothing of them is left then."""
    def run(data: bytes, *words, **more):
        with tempfile.TemporaryFile(dir=tmp_path) as file:
            file.write(data)
            file.seek(0)
            done = strake(*words, cwd=tmp_path, stdin=file, **more)
        assert list((strake.home / "tmp").iterdir()) == []
        return done
    return run


def zstd(data: bytes) -> bytes:
    """A frame of blocks that are stored as they are: Python has no zstd, and the program may be missing."""
    frame = b"\x28\xb5\x2f\xfd\xa0" + len(data).to_bytes(4, "little")
    for at in range(0, len(data), 1 << 16):
        block = data[at:at + (1 << 16)]
        last = at + len(block) == len(data)
        frame += (last | len(block) << 3).to_bytes(3, "little") + block
    return frame


@pytest.mark.parametrize("squeeze", [bytes, gzip.compress, bz2.compress, lzma.compress, zstd],
                         ids=["plain", "gzip", "bzip2", "xz", "zstd"])
def test_a_tar_on_standard_input_is_the_context(feed, env, out, squeeze):
    words, folder = out
    data = tar(entry("./", tarfile.DIRTYPE, mode=0o755), entry("Dockerfile", text=DOCKERFILE),
               entry("run.sh", text="#!/bin/sh\n", mode=0o755), entry("deep/er/ünï", text="x", mode=0o640),
               entry("deep/link", tarfile.SYMTYPE, linkname="../run.sh"),
               entry("hard", tarfile.LNKTYPE, linkname="./deep/er/ünï"), entry("shut", tarfile.DIRTYPE, mode=0o500),
               entry("shut/file", text="twice"), entry("shut/file", text="once"))
    done = feed(squeeze(data), "build", *words, "-", env=env)
    assert done.exit == 0, done.err
    files = folder / "all"
    assert (files / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (files / "run.sh").stat().st_mtime == 1_600_000_000
    assert (files / "deep/er/ünï").read_text() == "x" and (files / "deep/er/ünï").stat().st_mode & 0o777 == 0o640
    assert os.readlink(files / "deep/link") == "../run.sh"
    assert (files / "hard").read_text() == "x"
    assert (files / "shut/file").read_text() == "once"


def test_f_names_the_dockerfile_within_the_tar(feed, env, out):
    words, folder = out
    data = tar(entry("docker/App", text="FROM scratch\nCOPY file /\n"), entry("file", text="x"), form=tarfile.GNU_FORMAT)
    done = feed(data, "build", *words, "-f", "docker/App", "-", env=env)
    assert done.exit == 0, done.err
    assert (folder / "file").read_text() == "x"


def test_anything_else_is_a_dockerfile_without_context(feed, env, out, base):
    words, folder = out
    text = f"FROM {base} AS work\nRUN echo said > /said\nFROM scratch\nCOPY --from=work /said /said\n"
    done = feed(text.encode(), "build", *words, "-", env=env)
    assert done.exit == 0, done.err
    assert (folder / "said").read_text() == "said\n"
    done = feed(b"FROM scratch\nCOPY file /\n", "build", "-", env=env)
    assert done.exit == 5 and "file is not in the build context" in done.err


def test_the_dockerfile_alone_comes_by_standard_input(feed, env, out, project):
    words, folder = out
    context = project({"file": "x"}, git=False)
    done = feed(b"FROM scratch\nCOPY file /\n", "build", *words, "-f", "-", context, env=env)
    assert done.exit == 0, done.err
    assert (folder / "file").read_text() == "x"


def test_events_and_json_of_a_context_on_standard_input(feed, env, tmp_path):
    data = tar(entry("Dockerfile", text="FROM scratch\nCOPY Dockerfile /\n"))
    done = feed(data, "build", "--events", "-", "-", env=env)
    assert done.exit == 0 and '"type":"target.done"' in done.out, done.err
    done = feed(data, "build", "--json", "-", env=env)
    assert done.exit == 0 and done.json()["targets"][0]["status"] == "done", done.err
    done = feed(tar(entry("../x")), "build", "--json", "-", env=env)
    assert done.exit == 2 and done.json()["error"]["kind"] == "usage"


@pytest.mark.parametrize("bad, says", [
    (entry("/etc/x", text="x"), "/etc/x is an absolute path"),
    (entry("a/../../x", text="x"), "leads out of the context"),
    (entry("..", tarfile.DIRTYPE), "leads out of the context"),
    (entry("link", tarfile.SYMTYPE, linkname="/etc/passwd"), "a link that leads out of the context"),
    (entry("d/link", tarfile.SYMTYPE, linkname="../../x"), "a link that leads out of the context"),
    (entry("link", tarfile.SYMTYPE, linkname="d/../../x"), "a link that leads out of the context"),
    (entry("link", tarfile.LNKTYPE, linkname="../../etc/passwd"), "leads out of the context"),
    (entry("link", tarfile.LNKTYPE, linkname="/etc/passwd"), "is an absolute path"),
    (entry("link", tarfile.LNKTYPE, linkname="missing"), "a file that the archive does not hold"),
    (entry("link", tarfile.LNKTYPE, linkname="inside/x"), "beneath something that is no folder"),
    (entry("inside/x", text="x"), "beneath something that is no folder"),
    (entry("folder", text="x"), "is a folder and something else"),
    (entry("Dockerfile", tarfile.DIRTYPE), "is a folder and something else"),
    (entry("null", tarfile.CHRTYPE, devmajor=1, devminor=3), "is a device"),
    (entry("disk", tarfile.BLKTYPE, devmajor=8), "is a device"),
    (entry("pipe", tarfile.FIFOTYPE), "FIFO"),
])
def test_a_tar_that_leads_out_of_its_folder_is_refused(feed, env, tmp_path, bad, says):
    data = tar(entry("Dockerfile", text=DOCKERFILE), entry("folder", tarfile.DIRTYPE, mode=0o755),
               entry("inside", tarfile.SYMTYPE, linkname="folder"), bad)
    done = feed(data, "build", "-", env=env)
    assert done.exit == 2, done.err
    assert says in done.err and "hint: " in done.err


@pytest.mark.parametrize("data, says", [
    (b"", "standard input is empty"),
    (b"FROM scratch\n\0", "neither a tar nor a Dockerfile"),
    (b"# " + b"x" * (5 << 20), "too long"),
    (gzip.compress(b"FROM scratch\n"), "the archive cannot be read"),
    (gzip.compress(tar(entry("Dockerfile", text=DOCKERFILE)), 0)[:700], "the archive cannot be read"),
    (tar(entry("Dockerfile", text=DOCKERFILE))[:700], "the archive cannot be read"),
    (tar(), "has no Dockerfile Dockerfile"),
    (tar(entry("Dockerfile", tarfile.DIRTYPE)), "has no Dockerfile Dockerfile"),
], ids=["nothing", "nul", "long", "no-tar", "gzip-cut", "tar-cut", "no-files", "a-folder"])
def test_what_is_no_context_is_told(feed, env, data, says):
    done = feed(data, "build", "-", env=env)
    assert done.exit == 2, done.err
    assert says in done.err


@pytest.mark.parametrize("words, says", [
    (("build", "-f", "/x/Dockerfile", "-"), "one within the archive"),
    (("build", "-f", "../Dockerfile", "-"), "has no Dockerfile ../Dockerfile"),
    (("build", ".", "-"), ". has no place beside -"),
    (("build", "-", "-"), "- has no place beside -"),
    (("build", "-f", "-", "-"), "-f - has no place beside -"),
    (("plan", "-"), "only `strake build` takes a context from standard input"),
    (("plan", "--save", "p", "-"), "no plan carries it"),
    (("publish", "-"), "only `strake build`"),
    (("build", "--plan", "p", "-"), "- has no place beside --plan"),
])
def test_words_that_do_not_fit_standard_input_are_refused(feed, env, words, says):
    done = feed(tar(entry("Dockerfile", text=DOCKERFILE)), *words, env=env)
    assert done.exit == 2, done.err
    assert says in done.err
    done = feed(DOCKERFILE.encode(), "build", "-f", "x", "-", env=env)
    assert done.exit == 2 and "standard input is a Dockerfile itself" in done.err


def test_a_terminal_is_no_context(strake, tmp_path):
    ours, theirs = pty.openpty()
    try:
        done = strake("build", "-", cwd=tmp_path, stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.exit == 2 and "standard input is a terminal" in done.err and "git archive" in done.err


def test_an_interrupt_while_it_is_read_leaves_nothing(strake, env, tmp_path):
    child = strake.popen("build", "-", cwd=tmp_path, env=env, stdin=subprocess.PIPE)
    data = tar(entry("Dockerfile", text=DOCKERFILE), entry("big", text="x" * 200_000))
    child.stdin.buffer.write(data[:150_000])
    child.stdin.flush()
    temp = strake.home / "tmp"
    deadline = time.monotonic() + 30
    while not list(temp.glob("*/context/big")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(temp.glob("*/context/big"))
    child.send_signal(signal.SIGINT)
    child.wait(timeout=30)
    child.stdin.close()
    said = child.stdout.read() + child.stderr.read()
    child.stdout.close()
    child.stderr.close()
    assert child.returncode == 130, said
    assert list(temp.iterdir()) == []


def test_an_interrupt_while_it_is_built_leaves_nothing(strake, env, tmp_path, base):
    events = tmp_path / "events"
    child = strake.popen("build", "--events", events, "-", cwd=tmp_path, env=env, stdin=subprocess.PIPE)
    child.stdin.buffer.write(tar(entry("Dockerfile", text=f"FROM {base}\nRUN echo begun {tmp_path.name} && sleep 60\n")))
    child.stdin.close()
    child.stdin = None
    deadline = time.monotonic() + 60
    while not (events.exists() and f"begun {tmp_path.name}\\n" in events.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list((strake.home / "tmp").glob("*/context/Dockerfile"))
    child.send_signal(signal.SIGINT)
    said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert list((strake.home / "tmp").iterdir()) == []


def test_who_writes_behind_the_archives_end_finds_a_reader(strake, env, tmp_path):
    data = tar(entry("Dockerfile", text="FROM scratch\nCOPY Dockerfile /\n")) + bytes(4 << 20)
    child = strake.popen("build", "-", cwd=tmp_path, env=env, stdin=subprocess.PIPE)
    child.stdin.buffer.write(data)  # EPIPE when nobody reads on
    child.stdin.close()
    child.stdin = None
    said = child.communicate(timeout=60)
    assert child.returncode == 0, said


# ---- git ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository whose branch `work` has a Dockerfile in `sub`, and whose branch `main` has another one."""
    folder = tmp_path_factory.mktemp("git")
    server = Git(folder)
    work = make_project(folder / "work", {"Dockerfile": "FROM scratch\nCOPY file /main\n", "file": "of main\n"})
    run_git(work, "checkout", "-q", "-b", "work")
    make_project(work / "sub", {"Dockerfile": "FROM scratch\nCOPY file /sub\n", "Other": "FROM scratch\nCOPY file /other\n",
                                "file": "of work\n"}, git=False)
    run_git(work, "add", "-A")
    run_git(work, "commit", "-q", "-m", "work")
    run_git(folder, "clone", "-q", "--bare", str(work), str(server.base / "repo.git"))
    run_git(server.base / "repo.git", "symbolic-ref", "HEAD", "refs/heads/main")
    yield server.url + "/repo.git"
    server.stop()


def test_a_git_url_is_a_context(strake, env, out, repository, tmp_path):
    words, folder = out
    done = strake("build", *words, repository, cwd=tmp_path, env=env)
    assert done.exit == 0, done.err
    assert (folder / "main").read_text() == "of main\n"


def test_a_branch_a_folder_and_a_dockerfile_of_a_git_url(strake, env, out, repository, project):
    words, folder = out
    home = project({"strake.lua": f'target "sub" {{ context = "{repository}#work:sub" }}\n'
                                  f'target "other" {{ context = "{repository}#work:sub", dockerfile = "Other" }}\n'})
    for name in ("sub", "other"):
        done = strake("build", *words, name, cwd=home, env=env)
        assert done.exit == 0, done.err
        assert (folder / name).read_text() == "of work\n"


@pytest.mark.parametrize("fragment, says", [
    ("#nowhere", "nowhere"),
    ("#work:missing", "missing"),
])
def test_a_branch_or_folder_that_is_not_there_is_told(strake, env, repository, tmp_path, fragment, says):
    done = strake("build", "--json", repository + fragment, cwd=tmp_path, env=env)
    error = done.json()["error"]
    assert done.exit == 5 and says in error["message"] and error["hint"]


@pytest.mark.parametrize("url, shown", [
    ("https://me:tok-4711-en@127.0.0.1:1/repo.git#main", "tok-4711-en"),
    ("https://tok-4711-en@127.0.0.1:1/repo.git", "tok-4711-en"),
    ("ssh://git:tok-4711-en@127.0.0.1:1/repo.git", "tok-4711-en"),
])
@pytest.mark.parametrize("words", [["{url}"], ["--build-context", "src={url}", "."], ["declared"]])
def test_credentials_in_a_url_are_refused_and_never_shown(strake, env, project, tmp_path, url, shown, words):
    lua = f'target "declared" {{\n  contexts = {{ src = "{url}" }} }}\n' if words == ["declared"] else ""
    folder = project({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"} | ({"strake.lua": lua} if lua else {}))
    words = [word.format(url=url) for word in words]
    done = strake("build", "--json", "--events", tmp_path / "events", *words, cwd=folder, env=env)
    error = done.json()["error"]
    assert done.exit == (3 if lua else 2), done.err
    assert "has credentials in it" in error["message"] and "GIT_AUTH_TOKEN" in error["hint"]
    assert error.get("file") == ("strake.lua" if lua else None)
    history = strake("history", "list", "--json", cwd=folder, env=env)
    assert history.exit == 0 and "build" in history.out
    for text in (done.out, done.err, (tmp_path / "events").read_text(), history.out):
        assert shown not in text


@pytest.mark.parametrize("url", ["https://127.0.0.1:1/a@b.git#x@y", "ssh://git@127.0.0.1:1/repo.git", "git@127.0.0.1:repo.git"])
def test_a_user_is_no_secret(strake, env, tmp_path, url):
    planned = strake("plan", "--json", url, cwd=tmp_path, env=env)
    assert planned.exit == 0 and planned.json()["targets"][0]["context"] == url, planned.err


def test_a_repository_that_is_not_there_is_told(strake, env, repository, tmp_path):
    done = strake("build", "--json", repository.replace("repo.git", "none.git"), cwd=tmp_path, env=env)
    error = done.json()["error"]
    assert done.exit == 5 and "none.git" in error["message"] and error["hint"]


# ---- named contexts -------------------------------------------------------------------------------

NAMED = "FROM scratch\nCOPY --from=other {what} /got\n"


@pytest.fixture
def layout(strake, base, tmp_path) -> str:
    """The folder of an OCI layout that holds the base image under `v1`."""
    folder = tmp_path / "layout"
    done = strake("image", "copy", base, f"oci:{folder}:v1", cwd=tmp_path)
    assert done.exit == 0, done.err
    return folder


def digest_of(layout) -> str:
    return json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]


def named(project, value: str, what: str, more: str = "") -> object:
    return project({"Dockerfile": NAMED.format(what=what), "data/file": "of a folder\n",
                    "strake.lua": f'target "app" {{ contexts = {{ other = {value} }} }}\n{more}'})


def test_a_named_context_is_an_image(strake, env, out, project, base):
    words, folder = out
    home = named(project, f'"docker-image://{base}"', "/etc/passwd")
    done = strake("build", *words, "app", cwd=home, env=env)
    assert done.exit == 0, done.err
    assert "dev:x:1000" in (folder / "got").read_text()


def test_a_named_context_is_a_folder(strake, env, out, project):
    words, folder = out
    home = named(project, '"data"', "file")
    done = strake("build", *words, "app", cwd=home, env=env)
    assert done.exit == 0, done.err
    assert (folder / "got").read_text() == "of a folder\n"
    done = strake("build", *words, "--build-context", "other=.", "..", cwd=home / "data", env=env)
    assert done.exit == 0, done.err  # the command line's are relative to where it is
    assert (folder / "got").read_text() == "of a folder\n"


def test_a_named_context_is_a_repository(strake, env, out, project, repository):
    words, folder = out
    home = named(project, f'"{repository}#work:sub"', "file")
    done = strake("build", *words, "app", cwd=home, env=env)
    assert done.exit == 0, done.err
    assert (folder / "got").read_text() == "of work\n"


def test_a_named_context_is_another_target(strake, env, out, project, registry, base):
    words, folder = out
    home = named(project, 'target "below"', "/made",
                 f'target "below" {{ dockerfile = "Below", image = "{registry.host}/contexts-below" }}\n')
    (home / "Below").write_text(f"FROM {base}\nRUN echo of a target > /made\n")
    done = strake("build", *words, "app", cwd=home, env=env)
    assert done.exit == 0, done.err
    assert (folder / "got").read_text() == "of a target\n"


@pytest.mark.parametrize("form", ["oci-layout://{dir}@{digest}", "oci-layout://{dir}:v1", "oci-layout://../layout:v1",
                                  "oci-layout://{dir}:v1@{digest}"])
def test_a_named_context_is_a_layout(strake, env, out, project, layout, form):
    words, folder = out
    value = form.format(dir=layout, digest=digest_of(layout))
    home = named(project, f'"{value}"', "/etc/passwd")
    done = strake("build", *words, "app", cwd=home, env=env)
    assert done.exit == 0, done.err
    assert "dev:x:1000" in (folder / "got").read_text()
    plan = strake("plan", "--json", "app", cwd=home, env=env).json()
    assert plan["targets"][0]["contexts"] == {"other": f"oci-layout://{layout}@{digest_of(layout)}"}


@pytest.mark.parametrize("value, says", [
    ("missing", "the context other is not a folder: "),
    ("data/file", "the context other is not a folder: "),
    ("oci-layout://missing:v1", "the context other is not a folder: "),
    ("oci-layout://data:v1", "data is not an OCI layout"),
    ("oci-layout://../layout:v2", "v2"),
    ("oci-layout://../layout@sha256:" + "0" * 64, "0000"),
])
def test_a_named_context_that_is_not_there_is_refused_with_its_place(strake, env, project, layout, value, says):
    home = named(project, f'"{value}"', "file")
    done = strake("build", "--json", "app", cwd=home, env=env)
    error = done.json()["error"]
    assert done.exit == 3, error
    assert says in error["message"] and (error["file"], error["line"]) == ("strake.lua", 1), error
    done = strake("build", "--json", "--build-context", f"other={value}", ".", cwd=home, env=env)
    assert done.exit == 2 and says in done.json()["error"]["message"], done.out
