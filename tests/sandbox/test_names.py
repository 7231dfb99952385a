"""Names in braces."""

import pytest

from hokusai_probe.sandbox.names import ALWAYS, Names, UnknownNameError, references


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


def test_the_contracts_names_are_there() -> None:
    """A sample of each kind of name that scenario files may use."""
    assert {
        "target_group.auth", "service.gateway", "task.mlflow.ip", "task.mlflow.arn", "task_definition.auth",
        "family.gateway", "container.mlflow", "image.gateway.good", "image.auth.wrong-architecture",
        "log_group.auth", "discovery.mlflow", "security_group.load-balancer", "security_group.gateway",
        "load_balancer.main", "dns_name.registry", "host.auth", "certificate.main", "listener.main.http",
        "rule.registry.api_mlflow", "rule.auth.health", "cluster", "vpc", "subnet.a", "acl.b", "database",
        "cache", "secret.huggingface", "parameter.database_url", "role.execution", "namespace", "zone",
        "hosted_zone", "account", "region",
    } <= ALWAYS  # fmt: skip
