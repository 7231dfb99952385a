"""Names in braces."""

from datetime import UTC, datetime

import pytest

from hokusai_probe.sandbox.names import ALWAYS, WITH_S3, Names, UnknownNameError, references, texts


def _names(saved: dict[str, object] | None = None) -> Names:
    return Names(
        {"cluster": "hokusai", "host.auth": "auth.test"}, {"task.auth.ip": lambda: "127.1.1.40"}, saved or {}
    )


def test_resolves_fixed_and_live_names_anywhere_in_a_value() -> None:
    """Names are replaced in every string of mappings and lists; other values stay as they are."""
    value = {"a": ["{cluster}", 7], "b": {"c": "http://{task.auth.ip}:1/{host.auth}"}, "d": True}
    assert _names().resolve(value) == {
        "a": ["hokusai", 7],
        "b": {"c": "http://127.1.1.40:1/auth.test"},
        "d": True,
    }


def test_a_live_name_is_asked_for_each_time() -> None:
    """A task that was replaced has its new address."""
    addresses = iter(["127.1.1.40", "127.1.1.41"])
    names = Names({}, {"task.auth.ip": lambda: next(addresses)}, {})
    assert [names.resolve("{task.auth.ip}"), names.resolve("{task.auth.ip}")] == ["127.1.1.40", "127.1.1.41"]


def test_an_unknown_name_is_an_error_with_a_suggestion() -> None:
    """A misspelt name is never passed on to AWS."""
    with pytest.raises(UnknownNameError) as caught:
        _names().resolve("{task.auht.ip}")
    assert str(caught.value) == "unknown name {task.auht.ip}; did you mean {task.auth.ip}?"


@pytest.mark.parametrize("name", ["host", "path", "port", "protocol", "query"])
def test_the_placeholders_of_a_redirect_are_left_to_aws(name: str) -> None:
    """The load balancer fills them in; a name of the sandbox beside them is still replaced."""
    text = f"/{{cluster}}/#{{{name}}}/#{{cluster}}"
    assert _names().resolve(text) == f"/hokusai/#{{{name}}}/#hokusai"


def test_a_misspelt_placeholder_of_a_redirect_is_an_error() -> None:
    """Only the five that AWS has are its own."""
    with pytest.raises(UnknownNameError) as caught:
        _names().resolve("/#{paht}")
    assert str(caught.value) == "unknown name {paht}"


_FORM = "what a step saved is {saved.NAME.JMESPATH}, a JMESPath without braces"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a { task.auth.ip }", "unknown name { task.auth.ip }; did you mean {task.auth.ip}?"),
        ("{Task.auth.ip}", "unknown name {Task.auth.ip}; did you mean {task.auth.ip}?"),
        ("{task.auth.IP}", "unknown name {task.auth.IP}; did you mean {task.auth.ip}?"),
        ("{task.auth.ip", "unknown name {task.auth.ip; did you mean {task.auth.ip}?"),
        ("/#{Host}", "unknown name {Host}; did you mean {host.main}?"),
        ("{CLUSTER}", "unknown name {CLUSTER}; did you mean {cluster}?"),
        ("{saved.r.Rules[0].{a: RuleArn}}", f"{{saved.r.Rules[0]. is no name: {_FORM}"),
        ("{saved.r-1.X}", f"{{saved.r-1.X}} is no name: {_FORM}"),
        ("{saved.r}", f"{{saved.r}} is no name: {_FORM}"),
        ("{saved.r.}", f"{{saved.r.}} is no name: {_FORM}"),
        ("{ Saved.r.X }", f"{{ Saved.r.X }} is no name: {_FORM}"),
    ],
)
def test_braces_that_nearly_name_something_are_an_error(text: str, sentence: str) -> None:
    """They are never passed on as they are."""
    with pytest.raises(UnknownNameError) as caught:
        _names({"r": {"Rules": [{"RuleArn": "arn:x"}]}}).resolve({"match": {"path": text}})
    assert str(caught.value) == sentence


def test_braces_inside_json_that_name_nothing_are_left_alone() -> None:
    """A document may hold templates of its own."""
    text = '{"Task": "{Task.auth.ip}", "at": "{ cluster }"}'
    assert _names().resolve(text) == text


def test_lists_and_mappings_become_json_inside_a_longer_text() -> None:
    """Nothing but Python reads what Python would make of them; a time becomes text."""
    names = _names(
        {"r": {"Tags": [{"Key": "a"}], "On": True, "Port": 1, "At": datetime(2025, 8, 1, tzinfo=UTC)}}
    )
    text = "x={saved.r.Tags} {saved.r.On} {saved.r.Port} {saved.r.[Port, At]}"
    assert names.resolve(text) == 'x=[{"Key": "a"}] true 1 [1, "2025-08-01 00:00:00+00:00"]'


@pytest.mark.parametrize("text", ['{"detail": {"x": 1}}', '["{later}"]', "{}", "{ }", "a {1,2} b", "{Upper}"])
def test_text_that_holds_no_known_name_is_left_alone(text: str) -> None:
    """JSON, and braces that cannot enclose a name, come out as they went in."""
    assert _names().resolve(text) == text


def test_known_names_inside_json_are_replaced() -> None:
    """A policy document may name the account."""
    assert _names().resolve('{"Cluster": "{cluster}", "x": "{y}"}') == '{"Cluster": "hokusai", "x": "{y}"}'


def test_saved_answers_are_reached_by_jmespath() -> None:
    """A reference alone keeps its type; inside a longer text it becomes text."""
    names = _names({"lb": {"Listeners": [{"Port": 443, "Arn": "arn:x"}]}})
    assert names.resolve(
        ["{saved.lb.Listeners[0].Port}", "p={saved.lb.Listeners[?Port==`443`].Arn | [0]}"]
    ) == [
        443,
        "p=arn:x",
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{saved.nothing.A}", "no earlier step saved 'nothing'"),
        ("{saved.lb.Missing}", "{saved.lb.Missing} finds nothing in what was saved"),
    ],
)
def test_a_saved_answer_that_is_not_there_is_an_error(text: str, sentence: str) -> None:
    """A step never runs with a hole in its parameters."""
    with pytest.raises(UnknownNameError) as caught:
        _names({"lb": {}}).resolve(text)
    assert str(caught.value) == sentence


def test_references_are_listed_before_anything_runs() -> None:
    """The loader can check a text without knowing any value."""
    assert list(references("{task.auth.ip} {saved.a.B[0]} {oops}")) == ["task.auth.ip", "saved.a", "oops"]


_S, _L = ("auth", "gateway", "mlflow"), ("auth", "registry", "main")
_IMAGES = ("good", "crashes", "wrong-architecture", "missing", "hungry")
_CONTRACT = {
    *(f"target_group.{s}" for s in _S), *(f"service.{s}" for s in _S), *(f"task.{s}.ip" for s in _S),
    *(f"task.{s}.arn" for s in _S), *(f"task_definition.{s}" for s in _S), *(f"family.{s}" for s in _S),
    *(f"container.{s}" for s in _S), *(f"image.{s}.{i}" for s in _S for i in _IMAGES),
    *(f"log_group.{s}" for s in _S), *(f"discovery.{s}" for s in _S),
    *(f"security_group.{s}" for s in (*_S, "load-balancer", "cache", "database", "client-vpn")),
    *(f"load_balancer.{b}" for b in _L), *(f"dns_name.{b}" for b in _L), *(f"host.{b}" for b in _L),
    *(f"certificate.{b}" for b in _L), *(f"listener.{b}.{p}" for b in _L for p in ("http", "https")),
    "rule.auth.health", "rule.auth.api", "rule.registry.mlflow", "rule.registry.api_mlflow",
    "rule.registry.api", "rule.main.api", "cluster", "vpc", "subnet.a", "subnet.b", "acl.a", "acl.b",
    "database", "cache", "secret.database", "secret.redis", "secret.auth", "secret.huggingface",
    "parameter.redis_endpoint", "parameter.redis_port", "parameter.database_url", "role.execution",
    "role.task", "namespace", "zone", "hosted_zone", "account", "region",
}  # fmt: skip
"""The names in braces that the scenario contract lists; ``bucket.artifacts`` is there with S3 only."""

_OWN = {f"certificate.{b}.{spare}" for b in _L for spare in ("expired", "untrusted")}
"""Names beyond the contract."""


def test_the_names_are_those_of_the_contract_and_the_spare_certificates() -> None:
    """No more, no less."""
    there = (ALWAYS, WITH_S3)
    assert there == (_CONTRACT | _OWN, {"bucket.artifacts"})


def test_every_string_of_a_value_is_found_with_its_place() -> None:
    """An error can name the line of a string in a parameter."""
    value = {"a": ["x", {"b": "y"}, 3], "c": True}
    assert list(texts(value)) == [(("a", 0), "x"), (("a", 1, "b"), "y")]
