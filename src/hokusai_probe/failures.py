"""Why there is no answer: what libraries raise, made one of a few kinds that causes can reason over."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Iterator, Mapping
from typing import Literal, NoReturn

import httpcore

from hokusai_probe.errors import ProbeError
from hokusai_probe.model import Frozen
from hokusai_probe.text import clean

FailureKind = Literal[
    "dns", "refused", "unreachable", "connect-timeout", "timeout", "tls", "reset", "malformed",
    "too-large", "encoding", "bad-url",
]  # fmt: skip


class Failure(Frozen):
    """Why there is no whole answer.

    ``code`` tells apart what ``kind`` lumps together. dns: nxdomain, no-address, servfail, timeout,
    temporary, bad-name, error. tls: expired, not-yet-valid, wrong-name, untrusted, revoked, invalid,
    not-tls, protocol, unrecognized-name, handshake. timeout and reset: the phase, handshake, headers or
    body. ``detail`` is one redacted sentence for people.
    """

    kind: FailureKind
    detail: str
    code: str | None = None


class Trouble(Exception):  # noqa: N818 - carries a Failure to the door
    """A failure on its way to the answer that will hold it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.kind)
        self.failure = failure


def fail(kind: FailureKind, detail: str, code: str | None = None) -> NoReturn:
    """Raise Trouble."""
    raise Trouble(Failure(kind=kind, detail=detail, code=code))


_VERIFY = {
    9: "not-yet-valid", 10: "expired", 18: "untrusted", 19: "untrusted", 20: "untrusted", 21: "untrusted",
    23: "revoked", 62: "wrong-name", 64: "wrong-name",
}  # fmt: skip
_ERRNO: Mapping[int, FailureKind] = {
    errno.ECONNREFUSED: "refused",
    errno.ETIMEDOUT: "connect-timeout",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
}
# How the ssl module says that it waits for more, or that the other side has gone.
_NOT_TLS = (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from; libraries wrap what decides."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _tls_failure(error: ssl.SSLError) -> Failure:
    if isinstance(error, ssl.SSLCertVerificationError):
        text = clean(error.verify_message, 200)
        code = _VERIFY.get(error.verify_code, "invalid")
        detail = f"the certificate does not hold: {text} (OpenSSL verify code {error.verify_code})"
        return Failure(kind="tls", detail=detail, code=code)
    reason = error.reason or "unknown error"
    known = {
        "WRONG_VERSION_NUMBER": "not-tls",
        "RECORD_LAYER_FAILURE": "not-tls",
        "HTTP_REQUEST": "not-tls",
        "UNSUPPORTED_PROTOCOL": "protocol",
        "TLSV1_ALERT_PROTOCOL_VERSION": "protocol",
        "TLSV1_UNRECOGNIZED_NAME": "unrecognized-name",
    }
    detail = f"the TLS handshake failed: {clean(reason, 100)}"
    return Failure(kind="tls", detail=detail, code=known.get(reason, "handshake"))


def connect_failure(error: httpcore.ConnectError | OSError, where: str) -> Failure:
    """Why a TCP connection failed. Raises ProbeError when it is our own machine's doing."""
    numbers = [e.errno for e in _chain(error) if isinstance(e, OSError) and e.errno]
    if _OURS.intersection(numbers):
        msg = f"this machine cannot open a connection: {errno.errorcode[min(_OURS.intersection(numbers))]}"
        raise ProbeError(msg)
    kind = next((_ERRNO[n] for n in numbers if n in _ERRNO), "unreachable")
    said = {"refused": "was refused", "reset": "was reset", "connect-timeout": "timed out"}
    return Failure(kind=kind, detail=f"connecting to {where} {said.get(kind, 'failed: no route')}")


def _protocol_failure(error: httpcore.RemoteProtocolError, phase: str) -> Failure:
    hint = next((getattr(e, "error_status_hint", None) for e in _chain(error) if e is not error), None)
    if hint == 431:
        return Failure(kind="too-large", detail="the headers are larger than 100 KiB", code="headers")
    if "disconnected without" in str(error) or "peer closed connection" in str(error):
        what = "with no answer" if phase == "headers" else "before the answer was whole"
        return Failure(kind="reset", detail=f"the connection was closed {what}", code=phase)
    return Failure(kind="malformed", detail=f"the answer is not HTTP: {clean(str(error), 200)}", code=phase)


def failure_of(error: Exception, phase: str, total_s: float) -> Failure:
    """What one of the errors of :data:`ERRORS` says of the platform."""
    if isinstance(error, Trouble):
        return error.failure
    if isinstance(error, httpcore.RemoteProtocolError):
        return _protocol_failure(error, phase)
    if isinstance(error, httpcore.LocalProtocolError):  # its text quotes the header, so it is not used
        return Failure(kind="bad-url", detail="the request holds what HTTP cannot carry", code="request")
    if isinstance(error, (TimeoutError, httpcore.TimeoutException)):
        return _timeout_failure(phase, total_s)
    tls = next(
        (e for e in _chain(error) if isinstance(e, ssl.SSLError) and not isinstance(e, _NOT_TLS)), None
    )
    if tls is not None:
        return _tls_failure(tls)
    during = {"handshake": "during the TLS handshake", "headers": "with no answer"}
    detail = f"the connection was reset {during.get(phase, 'before the answer was whole')}"
    return Failure(kind="reset", detail=detail, code=phase)


def _timeout_failure(phase: str, total_s: float) -> Failure:
    what = {
        "connect": f"no connection within {total_s:g} s",
        "handshake": "the connection was accepted and the TLS handshake never finished",
        "headers": f"no whole answer within {total_s:g} s: its headers had not ended",
        "body": f"no whole answer within {total_s:g} s: its body had not ended",
    }
    kind: FailureKind = "connect-timeout" if phase == "connect" else "timeout"
    return Failure(kind=kind, detail=what.get(phase, what["body"]), code=phase)


ERRORS = (
    Trouble,
    TimeoutError,
    ssl.SSLError,
    ConnectionError,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
)
