"""Where a target comes from, and what is said when it cannot be used."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hokusai_probe import config
from hokusai_probe.config import ConfigError
from hokusai_probe.model import Hosts, Paths, Target

MINIMAL = 'name = "here"\n[hosts]\nregistry = "https://registry.example"\n'


def parse(text: str, **environment: str) -> Target:
    """The target of this TOML text."""
    return config.parse(text, source="t.toml", environment=environment)


def complaint(text: str) -> str:
    """What is said of this TOML text."""
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return str(caught.value)


def test_shipped_target() -> None:
    """The shipped target allows only reading, names no key and has the platform's three hosts."""
    target = config.load("hokusai-development", {})
    assert config.shipped() == ("hokusai-development",)
    assert target.hosts.present() == {
        "registry": "https://registry.hokus.ai",
        "auth": "https://auth.hokus.ai",
        "api": "https://api.hokus.ai",
    }
    assert target.allow.classes == ("read",)
    assert target.aws is not None
    assert target.aws.services == {
        "auth": "hokusai-auth-development",
        "gateway": "hokusai-api-development",
        "mlflow": "hokusai-mlflow-development",
    }


@pytest.mark.parametrize(
    ("url", "name", "host", "prefix"),
    [
        ("https://mlflow.example", "mlflow.example", "https://mlflow.example", None),
        ("https://mlflow.example/", "mlflow.example", "https://mlflow.example", None),
        ("http://127.0.0.1:5000/team/a/", "127.0.0.1-5000-team-a", "http://127.0.0.1:5000", "/team/a"),
        ("HTTPS://MLflow.Example/x", "mlflow.example-x", "https://mlflow.example", "/x"),
        ("http://[::1]:5000", "1-5000", "http://[::1]:5000", None),
    ],
)
def test_bare_url(url: str, name: str, host: str, prefix: str | None) -> None:
    """A bare URL is one host with no auth, api or AWS; without a path the prefix is looked for."""
    assert config.load(url, {}) == Target(
        name=name, hosts=Hosts(registry=host), paths=Paths(mlflow=prefix, mlflow_direct=None)
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://user:hk_test_secret@mlflow.example", "must not contain a user name or password"),
        ("ftp://mlflow.example", "must begin with https:// or http://"),
        ("https://", "must name a host after ://"),
        ("https:///path", "must name a host after ://"),
        ("https://a..b", "must name a host after ://"),
        ("https://mlflow.example:99999", "malformed; ports go from 1 to 65535"),
        ("https://mlflow.example:0", "must have a port from 1 to 65535"),
        ("https://mlflow.example:port", "malformed; ports go from 1 to 65535"),
        ("https://[::1", "malformed"),
        ("https://mlflow example", "must not contain blanks or control characters"),
        ("https://mlflow.example\n", "must not contain blanks or control characters"),
        ("https://mlflow.example/?key=hk_test_secret", "must not have a query"),
        ("https://mlflow.example/#top", "must not have a fragment"),
        ("https://mlflow.example/a/../b", "climbs with dot segments"),
    ],
)
def test_bad_url(url: str, said: str) -> None:
    """Each fault of a URL has its own sentence, which never repeats what was given."""
    with pytest.raises(ConfigError) as caught:
        config.load(url, {})
    assert said in str(caught.value)
    assert "hk_test_secret" not in str(caught.value)


FAULTS = (
    "name =",
    "name = 'a'\nname = 'b'",
    "",
    "nam = 'x'",
    MINIMAL + "x = 1",
    MINIMAL + "[aws]\nregion='r'\nclutser='c'",
    MINIMAL + "[aws.services]\ngatway='c'",
    MINIMAL + "[aws]\nregion='r'\nservices={gatway='c'}",
    MINIMAL + "[owners.auht]\nteam='x'",
    MINIMAL + "[owners.auth]\nteem='x'",
    MINIMAL + "[owners.auth]\nrepository='x'",
    MINIMAL + "[owners.auth]\ngithub='a b'",
    MINIMAL + "[criteria]\nproxi=80",
    MINIMAL + "[criteria]\nproxy=101",
    MINIMAL + "[allow]\nclasses='read'",
    MINIMAL + "[allow]\nclasses=['raed']",
    MINIMAL + "[budget]\nrequests=0",
    MINIMAL + "[budget]\nrequests='300'",
    MINIMAL + "[budget]\nrequests=1.5",
    MINIMAL + "[timeouts]\ntotal_s=true",
    MINIMAL + "[timeouts]\ntotal_s=inf",
    MINIMAL + "[issues]\nconfirm_runs=0",
    MINIMAL + "[key]\nenv='hk_live_abc'",
    MINIMAL + "[key]\nhk_live_abc=1",
    MINIMAL + "[tls]\nca_file='nowhere.pem'",
    MINIMAL + "[network]\nresolver='localhost'",
    MINIMAL + "[network]\ndatabase='db.example'",
    MINIMAL + "[network]\ndatabase='postgresql://u:p@db.example:5432'",
    MINIMAL + "[network]\ncache='u:p@redis.example:6379'",
    MINIMAL + "[network]\ncache='redis.example:70000'",
    MINIMAL + "[network]\ncache='redis.example:6379/0'",
    MINIMAL + "[paths]\nserving_model=21",
    MINIMAL + "[paths]\nserving_model='21/predict'",
    MINIMAL + "[paths]\npublic=['/a', 'b']",
    MINIMAL + "[paths]\nmlflow='/a/%2e%2E/b'",
    MINIMAL + "[issues]\nmaintenance=['soon']",
    MINIMAL + "[[issues.mute]]\ncheck='a'\ncause='b'\nuntil=2026-09-01\nbecause='x'",
    MINIMAL + "[[issues.mute]]\ncheck='a'\nuntil=2026-09-01T12:00:00\nbecause='x'",
    MINIMAL + "[[issues.mute]]\ncheck='a'\nuntil='soon'\nbecause='x'",
    "name='a b'\n[hosts]\nregistry='https://r'",
    "name='a'\n[hosts]\nregistry='r.example'",
    "name='a'\n[hosts]\nregistry='https://r/p'",
    "name='a'\n[hosts]\nregistry=1",
    "name='a'\nhosts='https://r'",
)


def test_where_the_stores_are_and_what_is_served() -> None:
    """Host and port as they are written; a model's id is text."""
    target = parse(
        f"{MINIMAL}[paths]\nserving_model = '21'\n"
        "[network]\ndatabase = 'db.x.rds.amazonaws.com:5432'\ncache = '[::1]:6379'\n"
    )
    assert target.paths.serving_model == "21"
    assert target.network.stores() == {"database": "db.x.rds.amazonaws.com:5432", "cache": "[::1]:6379"}
    assert parse(MINIMAL).network.stores() == {}


def test_faults_of_a_file() -> None:
    """One sentence for each: the file, the line or the key path, and what is allowed."""
    said = "".join(f"{text.removeprefix(MINIMAL)!r}\n    {complaint(text)}\n" for text in FAULTS)
    path = Path(__file__).parent / "said" / "config-faults.txt"
    if os.environ.get("UPDATE_SAID"):
        path.write_text(said, "utf-8")
    assert said == path.read_text("utf-8")


def test_values_as_they_are_kept(tmp_path: Path) -> None:
    """Trailing slashes go, `auto` means looking, a CA file counts from its target file, `read` is implied."""
    (tmp_path / "ca.pem").write_text("")
    path = tmp_path / "here.toml"
    path.write_text(
        'name = "here"\n[hosts]\nregistry = "https://Registry.example:8443/"\n'
        '[paths]\nmlflow = "auto"\nmlflow_direct = "/mlflow/"\n[tls]\nca_file = "ca.pem"\n'
        '[allow]\nclasses = ["write"]\n[owners.auth]\ngithub = "@hokus/auth"\n[timeouts]\ntotal_s = 3\n'
        '[[issues.mute]]\ncause = "auth-cache-off"\nuntil = 2026-09-01\nbecause = "known"\n'
    )
    target = config.load(str(path), {})
    assert target.hosts.registry == "https://registry.example:8443"
    assert (target.paths.mlflow, target.paths.mlflow_direct) == (None, "/mlflow")
    assert target.tls.ca_file == str(tmp_path / "ca.pem")
    assert target.allow.classes == ("read", "write")
    assert target.owners["auth"].github == "hokus/auth"
    assert target.timeouts.total_s == 3.0
    assert target.issues.mute[0].until.isoformat() == "2026-09-01T00:00:00+00:00"


def test_region_from_environment() -> None:
    """[aws] without a region takes the environment's; without [aws] the environment adds nothing."""
    aws = parse(MINIMAL + "[aws]\ncluster='c'", AWS_DEFAULT_REGION="eu-west-1", AWS_REGION="us-east-1").aws
    assert aws is not None
    assert aws.region == "us-east-1"
    assert parse(MINIMAL, AWS_REGION="us-east-1").aws is None


def test_file_faults(tmp_path: Path) -> None:
    """A missing file, a folder, a misspelt name and a file that is not UTF-8 each have their sentence."""
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"name = 'a'\n\xff")
    cases = {
        "nowhere.toml": "nowhere.toml: there is no such file; targets that ship: hokusai-development",
        "hokusai-developmen": "hokusai-developmen: there is no such file; did you mean hokusai-development?",
        str(tmp_path): f"{tmp_path}: a folder, where a TOML file, a URL or a shipped name is wanted",
        str(binary): f"{binary}: not UTF-8 text at line 2; save the file as UTF-8",
        "a\0b": "a\0b: cannot be read: not a file name",
    }
    for where, said in cases.items():
        with pytest.raises(ConfigError) as caught:
            config.load(where, {})
        assert str(caught.value) == said


def test_default() -> None:
    """Without a name it is ./hokusai-probe.toml."""
    assert config.default() == Path("hokusai-probe.toml")


@given(st.text(max_size=200))
def test_any_text_is_a_target_or_a_config_error(text: str) -> None:
    """No text, as file contents or URL, raises anything but ConfigError."""
    for use in (
        lambda: parse(text),
        lambda: parse(MINIMAL + text),
        lambda: config.from_url("https://" + text),
    ):
        with contextlib.suppress(ConfigError):
            assert isinstance(use(), Target)


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=20, max_size=40))
def test_values_are_never_repeated(secret: str) -> None:
    """A key that was pasted where it does not belong is in no error."""
    texts = (
        f"{MINIMAL}[key]\nenv = 'hk_live_{secret}'",
        f"{MINIMAL}[allow]\nclasses = ['hk_live_{secret}']",
        f"{MINIMAL}[key]\nhk_live_{secret} = 1",
        f"{MINIMAL}[network]\ncontrol_host = 'https://{secret}:{secret}@x.example'",
        f"name = 'hk_live_{secret}'\n[hosts]\nregistry = 'hk_live_{secret}'",
        f"{MINIMAL}[budget]\nrequests = 'hk_live_{secret}'",
        f"{MINIMAL}[key]\nenv = hk_live_{secret}",
    )
    assert [text for text in texts if secret in complaint(text)] == []


def test_imports_nothing_heavy() -> None:
    """Reading a target needs no AWS, MLflow or HTTP client."""
    code = (
        "import sys, hokusai_probe.config\n"
        "print([m for m in ('boto3', 'botocore', 'mlflow', 'httpx', 'aiohttp', 'dns') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
