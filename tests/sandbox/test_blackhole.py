"""A connect to a black hole hangs, and the address is free again afterwards."""

import socket
import time

from data_side import network

from hokusai_probe.sandbox.blackhole import BlackHole, held

PATIENCE_S = 0.2


def connect(address: tuple[str, int]) -> str:
    """What a connect comes to, within the patience."""
    with socket.socket() as client:
        client.settimeout(PATIENCE_S)
        started = time.monotonic()
        try:
            client.connect(address)
        except TimeoutError:
            assert time.monotonic() - started >= PATIENCE_S * 0.9
            return "hangs"
        except ConnectionRefusedError:
            return "refused"
        return "connected"


def test_connects_hang_one_after_another_until_it_closes() -> None:
    """Neither the first nor a later connect gets through; closed, the port can be served again."""
    ip = f"{network()}.4"
    with BlackHole() as hole:
        port = hole.open(ip, 0)
        during = [connect((ip, port)) for _ in range(3)]
    after = connect((ip, port))
    with socket.create_server((ip, port)):
        again = connect((ip, port))
    assert (during, after, again) == (["hangs"] * 3, "refused", "connected")


def test_several_addresses_in_one_hole() -> None:
    """One black hole may stand for many addresses."""
    net = network()
    with BlackHole() as hole:
        ports = {ip: hole.open(ip, 0) for ip in (f"{net}.4", f"{net}.5")}
        assert [connect(address) for address in ports.items()] == ["hangs", "hangs"]


def test_it_takes_the_place_of_a_server_whose_connections_live_on() -> None:
    """A listening socket can be replaced while a connection that it accepted stands."""
    ip = f"{network()}.4"
    server = socket.create_server((ip, 0))
    address = server.getsockname()
    with socket.create_connection(address, 1) as standing:
        accepted, _ = server.accept()
        server.close()
        with accepted, BlackHole() as hole:
            hole.open(*address)
            accepted.sendall(b"still here")
            assert (standing.recv(16), connect(address)) == (b"still here", "hangs")


def test_a_port_that_is_taken_is_said() -> None:
    """A port somebody listens on cannot be made a black hole, and nothing stays behind."""
    ip = f"{network()}.4"
    with socket.create_server((ip, 0)) as server, BlackHole() as hole:
        refused = ""
        try:
            hole.open(*server.getsockname())
        except OSError as error:
            refused = type(error).__name__
        assert (refused, connect(server.getsockname())) == ("OSError", "connected")


def test_a_held_port_refuses() -> None:
    """A socket that is bound and does not listen keeps the port and refuses connects."""
    ip = f"{network()}.4"
    with held(ip, 0) as socket_:
        assert connect(socket_.getsockname()) == "refused"
