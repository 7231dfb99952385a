"""The HTTP server in front of the sandbox's control plane."""


class Server:
    """The moto server on one address of this sandbox; the port is picked by the system."""

    def __init__(self, ip: str) -> None:
        from moto.moto_server.threaded_moto_server import ThreadedMotoServer

        self._server = ThreadedMotoServer(ip_address=ip, port=0, verbose=False)

    def start(self) -> str:
        """Serve; returns the endpoint's URL."""
        self._server.start()
        ip, port = self._server.get_host_and_port()
        return f"http://{ip}:{port}"
