"""A gateway under test, between neighbours that say what they are told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
from aiohttp import web
from data_side import NOBODY, network, target

from hokusai_probe.sandbox.services.gateway import Environment, Gateway
from hokusai_probe.sandbox.services.settings import Settings

SEARCH = "/api/mlflow/api/2.0/mlflow/experiments/search"
CREATE = "/api/mlflow/api/2.0/mlflow/registered-models/create"
ACCEPTED = {"is_valid": True, "key_id": "k1", "user_id": "u1", "scopes": ["model:write"]}

_SSL_REQUEST = 80877103


@dataclass
class Around:
    """What stands around a gateway under test: an auth service and an MLflow that say what they are told."""

    net: str = field(default_factory=network)
    auth: tuple[int, object] = (200, ACCEPTED)
    debit: tuple[int, object] = (200, {"status": "debited"})
    mlflow: Callable[[web.Request], web.Response] | None = None
    asked: list[tuple[str, str, dict[str, object]]] = field(
        default_factory=list
    )  # method and path, key, body
    passed: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)  # path, headers, body

    async def answer_auth(self, request: web.Request) -> web.Response:
        key = request.headers.get("Authorization", "")
        self.asked.append((f"{request.method} {request.path}", key, await request.json()))
        status, body = self.debit if request.path.endswith("/debit") else self.auth
        return web.json_response(body, status=status)

    async def answer_mlflow(self, request: web.Request) -> web.Response:
        self.passed.append((request.raw_path, dict(request.headers), await request.read()))
        return self.mlflow(request) if self.mlflow else web.json_response({"answered": request.path})


@dataclass
class Asker:
    """Sends requests to the gateway; looks at what is around it."""

    around: Around
    base: str
    session: aiohttp.ClientSession

    async def __call__(
        self, method: str, where: str, key: str | None = "hk_test_good", **parts: object
    ) -> tuple[int, object]:
        """Status and body, JSON read."""
        status, _, body = await self.whole(method, where, key, **parts)
        return status, body

    async def whole(
        self, method: str, where: str, key: str | None = "hk_test_good", **parts: object
    ) -> tuple[int, dict[str, str], object]:
        """Status, headers and body."""
        headers = ({} if key is None else {"Authorization": f"Bearer {key}"}) | dict(parts.pop("headers", {}))
        async with self.session.request(method, self.base + where, headers=headers, **parts) as answer:
            text = await answer.text()
            body = json.loads(text) if text and "json" in answer.content_type else text
            return answer.status, dict(answer.headers), body


@asynccontextmanager
async def gateway(
    tmp_path: Path,
    *behaviours: str,
    around: Around | None = None,
    time_scale: float = 10.0,
    ca_file: Path | None = None,
    variables: Mapping[str, str] | None = None,
    **environment: object,
) -> AsyncIterator[Asker]:
    """A gateway between an auth service and an MLflow; its database would be at .30."""
    around = around or Around()
    net = around.net
    async with (
        target(f"{net}.40", around.answer_auth) as auth,
        target(f"{net}.42", around.answer_mlflow) as mlflow,
        aiohttp.ClientSession() as session,
    ):
        given = Environment.read(
            {
                "MLFLOW_SERVER_URL": f"http://{net}.42:{mlflow}/mlflow",
                "HOKUSAI_AUTH_SERVICE_URL": f"http://{net}.40:{auth}",
                "DB_HOST": f"{net}.30",
                "DB_NAME": "mlflow_db",
                "DB_USER": "mlflow",
                **(variables or {}),
            }
        )
        settings = Settings(
            bind=(f"{net}.41", 8001),
            resolver=NOBODY,
            faults=tmp_path / "faults.json",
            behaviours=frozenset(behaviours),
            ca_file=ca_file,
            time_scale=time_scale,
            state=tmp_path,
        )
        runner = web.AppRunner(
            Gateway(settings, replace(given, **environment)).application(), shutdown_timeout=0.1
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, f"{net}.41", 8001).start()
            yield Asker(around, f"http://{net}.41:8001", session)
        finally:
            await runner.cleanup()


@asynccontextmanager
async def database(ip: str, *names: str, user: str = "mlflow") -> AsyncIterator[None]:
    """The least of a Postgres server that the driver can log in to, on 5432, with one user."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = await _start_up(reader, writer)
        if said.get("user") != user:
            writer.write(_error("28000", f'role "{said.get("user")}" does not exist'))
        elif said.get("database") not in names:
            writer.write(_error("3D000", f'database "{said.get("database")}" does not exist'))
        else:
            status = b"server_version\0" + b"15.12\0"
            writer.write(_message(b"R", bytes(4)) + _message(b"S", status) + _message(b"Z", b"I"))
            await reader.read()
        writer.close()

    server = await asyncio.start_server(talk, ip, 5432)
    try:
        yield
    finally:
        server.close()


async def _start_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, str]:
    length, code = int.from_bytes(await reader.readexactly(4)), int.from_bytes(await reader.readexactly(4))
    rest = await reader.readexactly(length - 8)
    if code == _SSL_REQUEST:
        writer.write(b"N")
        return await _start_up(reader, writer)
    words = rest.decode().rstrip("\0").split("\0")
    return dict(zip(words[::2], words[1::2], strict=True))


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4) + body


def _error(state: str, text: str) -> bytes:
    fields = f"SFATAL\0VFATAL\0C{state}\0M{text}\0\0"
    return _message(b"E", fields.encode())
