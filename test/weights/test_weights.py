"""Weights: found by name or path, downloaded from a server that breaks off, verified; every failure is one sentence."""

import hashlib
import os
import pwd
import signal
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gcseg_ros.cli import main
from gcseg_ros.errors import UserError
from gcseg_ros.weights import FOLDER_VARIABLE, TABLE, State, Weights, fetch, locate, named, state_of, weights_folder

CONTENT = bytes(range(256)) * 4000


class Server(ThreadingHTTPServer):
    """Serves CONTENT with ranges. breaks_at: the connection ends after this byte; ranges: whether it knows them."""

    breaks_at: int | None = None
    ranges = True
    content = CONTENT
    kind = "application/octet-stream"

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append(asked)
        if self.path != "/net.pt":
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.ranges else 0
        if start >= len(server.content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", server.kind)
        self.send_header("Content-Length", str(len(server.content) - start))
        self.end_headers()
        self.wfile.write(server.content[start : server.breaks_at])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def entry(server):
    url = f"http://127.0.0.1:{server.server_port}/net.pt"
    return Weights("net", "net.pt", url, len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), "MIT", "a test")


def test_fetch_downloads_once_and_tells_its_progress(server, entry, tmp_path):
    seen = []
    file, state = fetch(entry, tmp_path / "new", lambda done, total: seen.append((done, total)))
    assert (file.read_bytes(), state) == (CONTENT, State.WHOLE)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert fetch(entry, tmp_path / "new") == (file, State.WHOLE)
    assert len(server.asked) == 1
    assert [f.name for f in file.parent.iterdir()] == ["net.pt"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_broke_off_goes_on_where_it_stopped(server, entry, tmp_path, ranges):
    server.breaks_at = 300_000
    with pytest.raises(UserError, match=r"ended at 300000 of 1024000 bytes.*again"):
        fetch(entry, tmp_path)
    assert not (tmp_path / "net.pt").exists()
    server.breaks_at, server.ranges = None, ranges
    assert fetch(entry, tmp_path)[0].read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-"]


def test_something_else_than_expected_is_thrown_away(server, entry, tmp_path):
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(UserError, match=r"is not net .wrong checksum"):
        fetch(entry, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "size"), [("text/html; charset=utf-8", len(CONTENT)), ("text/html", None), ("image/png", len(CONTENT))]
)
def test_a_login_page_is_not_begun_with(server, entry, tmp_path, kind, size):
    server.content, server.kind = b"<html>please log in</html>", kind
    with pytest.raises(UserError, match=r"answers with something else than net .*put a copy at .*net\.pt\."):
        fetch(replace(entry, size=size, sha256=None), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_whose_sum_is_nowhere_published_is_said_to_be_so(entry, tmp_path):
    unknown = replace(entry, size=None, sha256=None)
    file, state = fetch(unknown, tmp_path)
    assert state is State.UNCONFIRMED
    assert file.read_bytes() == CONTENT


def test_an_offline_machine_is_told_which_file_to_put_where(entry, tmp_path):
    with pytest.raises(UserError, match=r"cannot be downloaded .*put http://127.0.0.1:1/net.pt at .*net\.pt\.$"):
        fetch(replace(entry, url="http://127.0.0.1:1/net.pt"), tmp_path)
    with pytest.raises(UserError, match=r"cannot be downloaded .*Not Found"):
        fetch(replace(entry, url=entry.url + "x"), tmp_path)
    with pytest.raises(
        UserError, match=r"sam-vit-b.*gcseg weights fetch sam-vit-b.*or put https://.* at .*sam_vit_b_01ec64\.pth\.$"
    ):
        locate("sam-vit-b", tmp_path)


def test_locate_by_name_path_and_environment(tmp_path, monkeypatch):
    own = tmp_path / "own.pth"
    own.write_bytes(b"mine")
    assert locate(own) == own
    assert locate(str(own)) == own
    entry = named("mask3d-scannet")
    (tmp_path / entry.file).write_bytes(b"any size")
    assert locate("mask3d-scannet", tmp_path) == tmp_path / entry.file
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert locate("mask3d-scannet") == tmp_path / entry.file
    monkeypatch.delenv(FOLDER_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights_folder() == tmp_path / "gcseg" / "weights"


def test_a_user_without_a_home_is_told_to_name_a_folder(capsys, monkeypatch):
    """`docker run --user 12345`, where HOME is not set either."""

    def nobody(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("HOME", "XDG_CACHE_HOME", FOLDER_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert main(["weights", "list"]) == 2
    assert f"this user has none: set {FOLDER_VARIABLE} to a folder." in capsys.readouterr().err
    assert main(["doctor"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if " weights " in line)
    assert line.endswith(f"set {FOLDER_VARIABLE} to a folder")


def test_the_advice_fetches_to_where_the_weights_are_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    here = tmp_path / "my weights"
    advice = rf"gcseg weights fetch mobile-sam --weights-dir '{here}'`, or put"
    with pytest.raises(UserError, match=rf"not in {here}: run `{advice} .* at {here}/mobile_sam\.pt\.$"):
        locate("mobile-sam", "~/my weights")
    here.mkdir()
    (here / "mobile_sam.pt").write_bytes(b"short")
    with pytest.raises(UserError, match=advice):
        locate("mobile-sam", "~/my weights")
    (here / named("edgetam").file).write_bytes(b"any size")
    assert locate("edgetam", "~/my weights") == here / "edgetam.pt"
    monkeypatch.setenv(FOLDER_VARIABLE, str(here))
    with pytest.raises(UserError, match=r"gcseg weights fetch sam-vit-b`, or put"):
        locate("sam-vit-b")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("sam-vit-x", r"sam-vit-x.*did you mean sam-vit-[bhl]\?"),
        ("zzz", "known are sam-vit-h"),
        ("no/such.pth", "no file no/such.pth"),
        ("such.pth", "no file such.pth"),
    ],
)
def test_names_that_are_not_known(name, says, tmp_path):
    with pytest.raises(UserError, match=says):
        locate(name, tmp_path)


def test_a_file_of_the_wrong_size_is_not_used(tmp_path):
    entry = named("mobile-sam")
    (tmp_path / entry.file).write_bytes(b"short")
    with pytest.raises(UserError, match=r"has 5 bytes instead of 40728226.*fetch mobile-sam"):
        locate("mobile-sam", tmp_path)
    assert state_of(entry, tmp_path / entry.file) is State.TRUNCATED


def test_the_table():
    assert len({entry.name for entry in TABLE}) == len({entry.file for entry in TABLE}) == len(TABLE)
    for entry in TABLE:
        assert entry.url.startswith("https://")
        assert entry.sha256 is None or len(bytes.fromhex(entry.sha256)) == 32


def test_a_download_that_is_aborted_is_gone_on_with(server, entry, tmp_path, capsys, monkeypatch):
    def interrupt(handler):
        BaseHTTPRequestHandler.end_headers(handler)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("gcseg_ros.weights.table.TABLE", (entry,))
    monkeypatch.setattr(Handler, "end_headers", interrupt)
    assert main(["weights", "fetch", "net", "--weights-dir", str(tmp_path)]) == 130
    assert "gcseg: Aborted: the next `gcseg weights fetch` goes on where this one stopped." in capsys.readouterr().err


def test_the_advice_names_the_folder_that_was_written_to(entry, tmp_path, capsys, monkeypatch):
    """Also where the shell has not replaced the ~, and a shell takes it as it is printed."""
    monkeypatch.setattr("gcseg_ros.weights.table.TABLE", (entry,))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    assert main(["weights", "fetch", "net", "--weights-dir=~/my weights"]) == 0
    assert f"export {FOLDER_VARIABLE}='{tmp_path.resolve()}/my weights'" in capsys.readouterr().out
    assert (tmp_path / "my weights" / "net.pt").is_file()


def test_commands(entry, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("gcseg_ros.weights.table.TABLE", (entry,))
    monkeypatch.setattr("gcseg_ros.weights.TABLE", (entry,))
    folder = ["--weights-dir", str(tmp_path)]
    assert main(["weights", "list", *folder]) == 0
    assert main(["weights", "verify", *folder]) == 0
    assert "There are no weights" in capsys.readouterr().out
    assert main(["weights", "fetch", "net", *folder]) == 0
    assert f"export {FOLDER_VARIABLE}=" in capsys.readouterr().out
    assert main(["weights", "verify", *folder]) == 0
    assert "net: whole" in capsys.readouterr().out
    (tmp_path / "net.pt").write_bytes(CONTENT[:-1] + b"x")
    assert main(["weights", "verify", "net", *folder]) == 1
    assert "net: wrong checksum" in capsys.readouterr().out
    assert main(["weights", "fetch", "nett", *folder]) == 2
    assert "did you mean net?" in capsys.readouterr().err
