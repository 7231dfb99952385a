"""What follows from a seed, before anything is created."""

from pathlib import Path

from hokusai_probe.sandbox import targetfile
from hokusai_probe.sandbox.identity import Identity, Places, mlflow_environment


def test_an_identity_follows_from_its_seed() -> None:
    """The same seed gives the same names; another seed gives others."""
    assert Identity.of(3) == Identity.of(3)
    one, other = Identity.of(3), Identity.of(4)
    assert {one.suffix, one.account, one.public_zone, one.private_zone}.isdisjoint(
        {other.suffix, other.account, other.public_zone, other.private_zone}
    )
    assert set(one.images()).isdisjoint(other.images())


def test_no_name_gives_the_seed_or_the_kind_of_image_away() -> None:
    """A prober cannot read from an image's tag that it crashes."""
    assert not any("crash" in uri or "missing" in uri for uri in Identity.of(3).images())


def test_mlflow_admits_the_hosts_that_ask_for_it() -> None:
    """Private name with and without port, task addresses, public hosts."""
    identity = Identity.of(3)
    environment = mlflow_environment(identity, Places("127.1.2", Path("/state"), "local"))
    zone, public = identity.private_zone, identity.public_zone
    assert environment["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",") == [
        f"mlflow.{zone}", f"mlflow.{zone}:*", "127.1.2.*", f"*.{public}*", "localhost", "127.0.0.1",
    ]  # fmt: skip
    assert environment["ARTIFACTS_DESTINATION"] == "file:///state/artifacts"


def test_keys_follow_from_the_seed_and_an_unknown_one_is_not_among_them() -> None:
    """Every key is fake and looks it."""
    known = targetfile.keys(5)
    values = {kind: str(entry["key"]) for kind, entry in known.items()}
    unknown = targetfile.given_key("unknown", known, 5)
    assert values == {kind: str(entry["key"]) for kind, entry in targetfile.keys(5).items()}
    assert all(value.startswith("hk_test_") for value in (*values.values(), unknown))
    assert unknown not in values.values()
    assert targetfile.given_key("none", known, 5) == ""


def test_the_target_file_is_toml_that_reads_back() -> None:
    """Tables at any depth, strings with quotes and back-slashes, arrays."""
    import tomllib

    content = {"name": 'a "b" \\ c', "t": {"n": 1.5, "on": True, "u": {"list": ["x", "y"]}}}
    assert tomllib.loads(targetfile.toml(content)) == content
