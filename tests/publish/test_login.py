"""How publishing logs in, at a git server that asks for it over HTTP on loopback."""

import base64
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from _kept import filled, series
from _pushed import bare, branches, git
from click.testing import CliRunner, Result

from hokusai_probe.cli import main

TOKEN = "ghs_16C7e42F292c6912E7710c838347Ae178B4a"
RIGHT = "basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()


class Server(ThreadingHTTPServer):
    """Git's own server of the repositories in a folder, which wants the token."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.seen: list[str | None] = []
        super().__init__(("127.0.0.1", 0), Door)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Door(BaseHTTPRequestHandler):
    """Asks for the token, then lets git answer."""

    server: Server

    def do_GET(self) -> None:
        given = ", ".join(self.headers.get_all("Authorization", ())) or None
        self.server.seen.append(given)
        if given is None or given.lower() != RIGHT.lower():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        words, environment = ["git", "http-backend"], self._environment()
        done = subprocess.run(words, input=body, env=environment, capture_output=True, check=True, timeout=30)
        self._answer(done.stdout)

    def do_POST(self) -> None:
        self.do_GET()

    def _environment(self) -> dict[str, str]:
        path, _, query = self.path.partition("?")
        known = {
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_USER": "probe",
        }
        asked = {"PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command}
        headers = {
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        return {"PATH": os.environ["PATH"], **known, **asked, **headers}

    def _answer(self, said: bytes) -> None:
        head, _, body = said.partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(lines.pop("Status", "200").split()[0]))
        for name, value in lines.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(root: Path) -> Iterator[Server]:
    """The server, as long as the block lasts."""
    server = Server(root)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Place:
    """A server, the remote on it, and a clone that has it as ``origin``."""

    url: str
    seen: list[str | None]
    remote: Path
    clone: Path

    def publish(self, environment: Mapping[str, str]) -> Result:
        """Run the command in the clone."""
        words = ["publish", str(self.clone.parent / "out"), "--push", "--within", "10"]
        clean = dict.fromkeys(("GITHUB_TOKEN", "GITHUB_SERVER_URL", "http_proxy", "HTTP_PROXY"))
        return CliRunner().invoke(main, words, env={**clean, **environment})


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Three runs to publish, and nothing yet to log in with."""
    remote, clone = bare(tmp_path / "remote.git"), tmp_path / "clone"
    filled(tmp_path / "out" / "history", series("pp pf pp"))
    git(tmp_path, "init", "--quiet", "clone")
    monkeypatch.chdir(clone)
    monkeypatch.setenv("HOME", str(tmp_path))
    with served(tmp_path) as server:
        git(clone, "remote", "add", "origin", f"{server.url}/remote.git")
        yield Place(server.url, server.seen, remote, clone)


def test_what_checkout_left_in_the_repository_serves(place: Place) -> None:
    """A header of the repository's own settings, as actions/checkout leaves it, by an include."""
    kept = place.clone.parent / "credentials"
    git(
        place.clone,
        "config",
        "--file",
        str(kept),
        f"http.{place.url}/.extraheader",
        f"AUTHORIZATION: {RIGHT}",
    )
    git(place.clone, "config", f"includeIf.gitdir:{place.clone}/.git.path", str(kept))

    done = place.publish({"GITHUB_TOKEN": "ghs_another", "GITHUB_SERVER_URL": place.url})

    assert (done.exit_code, list(branches(place.remote))) == (0, ["probe-data"])
    assert set(place.seen) == {RIGHT}


def test_without_any_the_token_of_the_job_serves(place: Place) -> None:
    """As `GITHUB_TOKEN`, so that checkout needs to leave nothing on a disk."""
    done = place.publish({"GITHUB_TOKEN": TOKEN, "GITHUB_SERVER_URL": place.url})

    assert (done.exit_code, list(branches(place.remote))) == (0, ["probe-data"])


def test_the_token_is_for_its_own_server(place: Place) -> None:
    """Another server never sees it, nobody is asked, and what is wrong is said at once."""
    done = place.publish({"GITHUB_TOKEN": TOKEN})

    assert (done.exit_code, branches(place.remote), set(place.seen)) == (3, {}, {None})
    assert "could not read Username" in done.stderr


def test_what_git_logs_in_with_is_not_published(place: Place) -> None:
    """It is known as a secret, in the settings as well as in the environment."""
    git(place.clone, "config", f"http.{place.url}/.extraheader", f"AUTHORIZATION: {RIGHT}")
    day = place.clone.parent / "out" / "history" / "hokusai-development" / "2026" / "01" / "01"
    run = min(day.iterdir())
    run.write_text(run.read_text("utf-8").replace('"trigger"', f'"{TOKEN[8:20]}"'), "utf-8")

    done = place.publish({})

    assert (done.exit_code, branches(place.remote)) == (3, {})
    assert f"there may be a secret in {run}, line " in done.stderr
