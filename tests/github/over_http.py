"""The stand-in over HTTP, on a loopback address; what comes and goes is held against the description."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from described import complaint
from standin import Back, Call, StandIn

HANG_S = 1.5


class Server(ThreadingHTTPServer):
    """Serves one stand-in. ``complaints`` is what the description has against what was said."""

    daemon_threads = True

    def __init__(self, world: StandIn) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.world = world
        self.complaints: list[str] = []
        self.heads: set[tuple[str, ...]] = set()
        self.one_at_a_time = threading.Lock()
        self.url = world.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server

    def _serve(self) -> None:
        call = self._call()
        with self.server.one_at_a_time:
            names = ("User-Agent", "Connection", "Accept-Encoding")
            self.server.heads.add(tuple(self.headers.get(name, "") for name in names))
            back = self.server.world.answer(call)
            told = back if isinstance(back, Back) and back.text is None else None
            known = call.path.startswith(("/repos/", "/user"))
            wrong = complaint(call, told) if known else ""
            self.server.complaints += [wrong] if wrong else []
        if isinstance(back, Back):
            self._send(back)
        elif back == "hang":
            time.sleep(HANG_S)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - what http.server calls

    def _call(self) -> Call:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = self.headers.get("Authorization", "").partition(" ")[2]
        sent: Any = json.loads(body) if body else None
        return Call(self.command, parts.path, dict(parse_qsl(parts.query)), sent, token)

    def _send(self, back: Back) -> None:
        body = (json.dumps(back.value) if back.text is None else back.text).encode()
        self.send_response_only(back.status)
        usual = {"content-type": "application/json; charset=utf-8", "content-length": str(len(body))}
        for name, value in {**usual, **back.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def dripping(part: Literal["head", "body"], pause_s: float = 0.02, times: int = 200) -> Iterator[str]:
    """A server of whose answers that part comes byte by byte; its address."""

    class Drips(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            if part == "body":
                self.end_headers()
            self.flush_headers()
            for _ in range(times):
                with suppress(OSError):
                    self.wfile.write(b"X")
                time.sleep(pause_s)

        log_message = Handler.log_message

    with ThreadingHTTPServer(("127.0.0.1", 0), Drips) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving(world: StandIn) -> Iterator[Server]:
    """The stand-in, reachable while the block lasts; then the description must not have complained."""
    server = Server(world)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert server.complaints == []
