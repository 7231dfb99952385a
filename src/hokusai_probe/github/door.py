"""The door to GitHub: PyGithub's requester on connections that repeat nothing and follow nothing.

PyGithub brings authentication and headers. Left to itself it would repeat a POST that may have done its
work, follow redirects, wait for hours at a limit, and read whatever size of answer; so its own retries are
off, and its connections are ours.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import requests
from github import Auth, Github
from github.Requester import HTTPSRequestsConnectionClass, RequestsResponse
from urllib3.exceptions import HTTPError, NewConnectionError

from hokusai_probe.github.calls import Reply, Request, UnansweredError
from hokusai_probe.github.deadline import EndingAdapter

MOST_BYTES = 32 * 2**20  # a hundred issues of 65,536 characters, four bytes each, and some more
CONNECT_S = 10.0
_CHUNK = 65_536
_SHORTEST_S = 0.1
_TOO_LONG = "its answer took too long"


class PyGithubDoor:
    """Carries requests to GitHub under one token, one at a time."""

    def __init__(self, token: str, home: str) -> None:
        self._connection = _Connection(home)
        client = Github(
            auth=Auth.Token(token),
            base_url=home,
            user_agent="hokusai-probe",
            retry=None,
            lazy=True,
            seconds_between_requests=0,
            seconds_between_writes=0,
        )
        self._requester = client.requester

    def ask(self, request: Request, timeout_s: float) -> Reply:
        """The answer, whatever its status. Raises UnansweredError.

        Connecting has ``timeout_s`` of its own at most; the answer, head and body, ends with it.
        """
        self._connection.until(time.monotonic() + timeout_s)
        try:
            status, headers, body = self._requester.requestJson(
                request.method,
                request.path,
                parameters=dict(request.query),
                input=None if request.body is None else dict(request.body),
                cnx=self._connection,
            )
        except _OddError as odd:
            return odd.reply
        except (requests.RequestException, HTTPError, OSError) as error:
            reason = _reason(error) if self._connection.has_time else _TOO_LONG
            raise UnansweredError(reason, sent=not _never_left(error)) from None
        except ValueError:  # PyGithub reads numbers out of headers
            raise _useless(why="cannot be read") from None
        return Reply(status=status, headers=headers, text=body)


class _OddError(Exception):
    """An answer that PyGithub must not see: it would follow it, or ask again without end."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class _Answer(RequestsResponse):
    """An answer whose body is read already."""

    def __init__(self, response: requests.Response, body: str) -> None:
        super().__init__(response)
        self._body = body

    def read(self) -> str:
        return self._body


class _Connection(HTTPSRequestsConnectionClass):
    """One connection for each request: on one that was kept, nobody knows whether a request still arrived."""

    def __init__(self, home: str) -> None:
        parts = urlsplit(home)
        host = parts.hostname or ""
        default = 443 if parts.scheme == "https" else 80
        super().__init__(f"[{host}]" if ":" in host else host, parts.port or default, retry=0)
        self.protocol = parts.scheme
        self.session.headers.update({"Connection": "close", "Accept-Encoding": "identity"})
        self._deadline = 0.0
        self.session.mount(f"{parts.scheme}://", EndingAdapter(lambda: self._deadline))

    @property
    def has_time(self) -> bool:
        """Whether the answer may still come."""
        return time.monotonic() < self._deadline

    def until(self, deadline: float) -> None:
        """When the next answer must be there, on the monotonic clock."""
        self._deadline = deadline

    def getresponse(self) -> RequestsResponse:
        seconds = max(_SHORTEST_S, self._deadline - time.monotonic())
        with self.session.request(
            self.verb,
            f"{self.protocol}://{self.host}:{self.port}{self.url}",
            headers=self.headers,
            data=self.input,
            timeout=(min(CONNECT_S, seconds), seconds),
            allow_redirects=False,
            stream=True,
        ) as response:
            body = self._body(response)
        if response.status_code == 202 or 300 <= response.status_code < 400:
            headers = _lower(response.headers)
            raise _OddError(Reply(status=response.status_code, headers=headers, text=body))
        return _Answer(response, body)

    def _body(self, response: requests.Response) -> str:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise _useless(why="is in an encoding that was not asked for")
        found = bytearray()
        while piece := response.raw.read1(_CHUNK):
            found += piece
            if len(found) > MOST_BYTES:
                raise _useless(why=f"has more than {MOST_BYTES} bytes")
        if not self.has_time:  # it may have been cut off
            raise UnansweredError(_TOO_LONG, sent=True)
        return found.decode("utf-8", "replace")


def _useless(*, why: str) -> UnansweredError:
    return UnansweredError(f"its answer {why}", sent=True)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _never_left(error: Exception) -> bool:
    """Whether the request certainly did not reach GitHub: there was no connection to send it on."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    inner = error.args[0] if error.args else None
    return isinstance(getattr(inner, "reason", None), NewConnectionError)


def _reason(error: Exception) -> str:
    """What went wrong, without the address and whatever else the error may hold."""
    if _never_left(error):
        return "no connection"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "no encrypted connection: its certificate is not trusted"
    return "the connection broke"
