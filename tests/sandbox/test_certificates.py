"""Certificates: their dates, who issued them, and what ACM says of them."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cryptography.x509
import pytest
from control_side import Prober
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID

from hokusai_probe.sandbox import served_acm, start
from hokusai_probe.sandbox.certificates import Authority, Certificate
from hokusai_probe.sandbox.clock import PlatformClock

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOST = "auth.hokusai-0.test"


def _dates(issued: Certificate) -> tuple[datetime, datetime]:
    read = cryptography.x509.load_pem_x509_certificate(issued.certificate)
    return read.not_valid_before_utc, read.not_valid_after_utc


def test_a_certificate_is_sixty_days_old_and_good_for_335_more(tmp_path: Path) -> None:
    """By the clock that it is given."""
    authority = Authority(tmp_path / "ca.pem", NOW)
    good = NOW - timedelta(days=60), NOW + timedelta(days=335)
    assert _dates(authority.issue(HOST)) == good
    assert _dates(authority.issue_untrusted(HOST)) == good
    assert _dates(authority.issue_expired(HOST)) == (NOW - timedelta(days=398), NOW - timedelta(days=3))


def test_without_a_time_it_is_now(tmp_path: Path) -> None:
    """The real clock."""
    begins, ends = _dates(Authority(tmp_path / "ca.pem").issue(HOST))
    assert begins < datetime.now(UTC) - timedelta(days=59) < datetime.now(UTC) + timedelta(days=334) < ends


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("issue", HOST, ""),
        ("issue", "other.hokusai-0.test", "Hostname mismatch"),
        ("issue_expired", HOST, "certificate has expired"),
        ("issue_untrusted", HOST, "unable to get local issuer certificate"),
    ],
)
def test_what_a_client_says(kind: str, name: str, said: str, tmp_path: Path) -> None:
    """A client that trusts the authority's file refuses each bad certificate for its own reason."""
    authority = Authority(tmp_path / "ca.pem")
    issued = getattr(authority, kind)(name)
    (tmp_path / "cert.pem").write_bytes(issued.certificate + issued.private_key)
    reason = asyncio.run(_handshake(tmp_path / "cert.pem", tmp_path / "ca.pem"))
    assert said in reason if said else reason == ""


async def _handshake(certificate: Path, trusted: Path) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        tls = ssl.create_default_context(cafile=trusted)
        try:
            _, writer = await asyncio.open_connection(
                *server.sockets[0].getsockname(), ssl=tls, server_hostname=HOST
            )
        except ssl.SSLCertVerificationError as error:
            return str(error)
        writer.close()
        return ""


def test_a_certificate_in_files_is_its_owners_alone(tmp_path: Path) -> None:
    """What a task serves; the key can be read by nobody else."""
    Authority(tmp_path / "ca.pem").write("mlflow.hokusai-0.local", tmp_path, "mlflow")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "mlflow.pem", tmp_path / "mlflow.key")
    assert (tmp_path / "mlflow.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("behind", "status"), [(0.0, "ISSUED"), (-400 * 86400.0, "EXPIRED")])
def test_acm_goes_by_the_platforms_clock(
    behind: float, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate laid down earlier than it could be imported now; its dates, status and issuer."""
    monkeypatch.setattr(served_acm.ServedCertificate, "clock", PlatformClock(behind))
    with mock_aws():
        issued = Authority(tmp_path / "ca.pem").issue(HOST)
        arn = served_acm.lay_down(DEFAULT_ACCOUNT_ID, issued, {"Name": "x"})
        acm = served_acm.acm_backends[DEFAULT_ACCOUNT_ID]["us-east-1"]
        shown = acm.get_certificate(arn).describe()["Certificate"]
    begins, ends = (date.timestamp() for date in _dates(issued))
    assert [shown[key] for key in ("Status", "DomainName", "Issuer", "Type", "InUseBy")] == [
        status, HOST, "Hokusai Sandbox CA", "IMPORTED", [],
    ]  # fmt: skip
    assert (shown["NotBefore"], shown["ImportedAt"], shown["NotAfter"]) == (begins, begins, ends)


_SWITCH = """name = "switched"
summary = "Two hosts present a certificate that no client accepts, one another's"
[given]
clock_offset_s = 240
[[step]]
kind = "aws"
service = "elbv2"
call = "modify_listener"
[step.params]
ListenerArn = "{listener.auth.https}"
Certificates = [{ CertificateArn = "{certificate.auth.expired}" }]
[[step]]
kind = "aws"
service = "elbv2"
call = "modify_listener"
[step.params]
ListenerArn = "{listener.main.https}"
Certificates = [{ CertificateArn = "{certificate.main.untrusted}" }]
"""


def test_a_listener_takes_up_another_certificate_at_the_next_handshake(tmp_path: Path) -> None:
    """Expired, untrusted, another host's; ACM says the same; the platform's clock is behind ours."""
    path = tmp_path / "switched.toml"
    path.write_text(_SWITCH)
    with start(path) as box:
        prober = Prober(box)
        said = {host: _refusal(prober, host) for host in ("auth", "api", "registry")}
        with prober.aws("elbv2") as elbv2:
            arn = box.names["certificate.auth"]
            listener = box.names["listener.registry.https"]
            elbv2.modify_listener(ListenerArn=listener, Certificates=[{"CertificateArn": arn}])
        said["registry, then"] = _refusal(prober, "registry")
        with prober.aws("acm") as acm:
            shown = {
                name: acm.describe_certificate(CertificateArn=box.names[f"certificate.{name}"])["Certificate"]
                for name in ("auth.expired", "registry", "auth")
            }
    assert said == {
        "auth": "certificate has expired",
        "api": "unable to get local issuer certificate",
        "registry": "",
        "registry, then": "Hostname mismatch",
    }
    users = {name: [_balancer(one) for one in part["InUseBy"]] for name, part in shown.items()}
    assert users == {"auth.expired": ["auth"], "registry": [], "auth": ["registry"]}
    assert {name: part["Status"] for name, part in shown.items()} == {
        "auth.expired": "EXPIRED", "registry": "ISSUED", "auth": "ISSUED",
    }  # fmt: skip
    expired_for = datetime.now(UTC) - shown["auth.expired"]["NotAfter"]
    assert timedelta(days=3, seconds=240) < expired_for < timedelta(days=3, seconds=540)


def _refusal(prober: Prober, host: str) -> str:
    """Why a handshake with a host fails, in OpenSSL's words; "" when it does not."""
    try:
        prober.ask(host, "/health")
    except ssl.SSLCertVerificationError as error:
        known = ("certificate has expired", "unable to get local issuer certificate", "Hostname mismatch")
        return next(words for words in known if words in str(error))
    return ""


def _balancer(arn: str) -> str:
    return arn.split("/")[2].split("-")[1]
