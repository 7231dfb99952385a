"""The fault table: what is accepted, what matches, what comes of several faults."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hokusai_probe.sandbox.faults import (
    Do,
    Edge,
    Edit,
    Effect,
    Fault,
    FaultError,
    FaultTable,
    Match,
    Rewrite,
    Seen,
    matches,
    parse_fault,
    patched,
    write_table,
)

PUT = Seen(
    host="registry.z.test",
    path="/api/mlflow/mlflow-artifacts/a",
    method="PUT",
    query={"path": "x/y"},
    headers={"authorization": "Bearer hk_test_x"},
    body_bytes=100,
)


def test_a_step_of_the_scenario_contract_becomes_a_fault() -> None:
    """The keys edge, match, do and every of a fault step are read as they stand."""
    step = {
        "edge": "gateway->mlflow",
        "match": {"path": "*/mlflow-artifacts/*", "method": "PUT"},
        "do": {"status": 413, "body": "too large", "content_type": "text/plain", "headers": {"A": "b"}},
        "every": 3,
    }
    assert parse_fault(step) == Fault(
        edge="gateway->mlflow",
        match=Match(path="*/mlflow-artifacts/*", method="PUT"),
        do=Do(status=413, body="too large", content_type="text/plain", headers={"A": "b"}),
        every=3,
    )


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        (
            {"edge": "client->dns", "do": {"nxdoman": True}},
            "unknown key 'do.nxdoman' in a fault; did you mean 'nxdomain'?",
        ),
        (
            {"edge": "client->dns", "match": {"hsot": "a"}, "do": {"drop": True}},
            "unknown key 'match.hsot' in a fault; did you mean 'host'?",
        ),
        (
            {"edge": "gateway->auth", "do": {"edit": {"jsn": {}}}},
            "unknown key 'do.edit.jsn' in a fault; did you mean 'json'?",
        ),
        (
            {"edge": "client>dns", "do": {"drop": True}},
            "unknown edge 'client>dns' in a fault; did you mean 'client->dns'?",
        ),
        (
            {"edge": "mlflow->storage", "do": {"nxdomain": True}},
            (
                "a fault cannot be: nxdomain belongs to the name, not to mlflow->storage; "
                "use the edge client->dns"
            ),
        ),
        (
            {"edge": "client->load-balancer", "do": {"address": "127.0.0.9"}},
            (
                "a fault cannot be: address belongs to the name, not to client->load-balancer; "
                "use the edge client->dns"
            ),
        ),
        (
            {"edge": "gateway->cache", "match": {"path": "/a"}, "do": {"drop": True}},
            "a fault cannot be: path is about HTTP requests, and gateway->cache has none",
        ),
        (
            {"edge": "mlflow->database", "do": {"status": 500}},
            "a fault cannot be: status is about HTTP answers, and mlflow->database has none",
        ),
        (
            {"edge": "client->dns", "do": {"edit": {"truncate": 3}}},
            "a fault cannot be: edit is about HTTP answers, and client->dns has none",
        ),
        (
            {"edge": "gateway->auth", "do": {"rewrite": {"query_kep": "last"}}},
            "unknown key 'do.rewrite.query_kep' in a fault; did you mean 'query_keep'?",
        ),
        (
            {"edge": "gateway->cache", "do": {"rewrite": {"query_keep": "last"}}},
            "a fault cannot be: rewrite is about HTTP requests, and gateway->cache has none",
        ),
        (
            {"edge": "client->load-balancer", "do": {"rewrite": {"query_keep": "last"}}},
            (
                "a fault cannot be: rewrite is for a sender of the platform's own, and "
                "client->load-balancer has none"
            ),
        ),
        (
            {"edge": "gateway->auth", "do": {"rewrite": {}}},
            "a fault's do.rewrite: says nothing; give one of query_keep, header_set, header_drop",
        ),
        (
            {"edge": "client->dns", "do": {"drop": True, "refuse": True}},
            "a fault's do: drop and refuse exclude each other",
        ),
        (
            {"edge": "client->dns", "do": {}},
            (
                "a fault's do: says nothing; give one of status, drop, refuse, reset, nxdomain, address, "
                "delay_s, edit, rewrite"
            ),
        ),
        ({"edge": "client->dns"}, "a fault's do: Field required"),
        ({"edge": "client->dns", "do": {"drop": True}, "every": True}, "a fault's every: {integer}"),
        ({"edge": "client->dns", "do": {"drop": True}, "every": "3"}, "a fault's every: {integer}"),
        (
            {"edge": "client->aws", "match": {"min_body_bytes": "9"}, "do": {"drop": True}},
            "a fault's match.min_body_bytes: {integer}",
        ),
    ],
)
def test_a_bad_step_is_refused_with_a_sentence(step: dict[str, object], sentence: str) -> None:
    """What is wrong and what was meant, in one sentence."""
    with pytest.raises(FaultError) as error:
        parse_fault(step)
    assert str(error.value) == sentence.format(integer="Input should be a valid integer")


WITHOUT_STATUS = "belongs to an answer of the fault's own; give its status as well"
NO_ADDRESS = "is no IPv4 address, such as 127.0.0.9"


@pytest.mark.parametrize(
    ("do", "complaint"),
    [
        ({"address": "banana"}, f".address: 'banana' {NO_ADDRESS}"),
        ({"address": ""}, f".address: '' {NO_ADDRESS}"),
        ({"address": "{task.auth.ip}"}, f".address: '{{task.auth.ip}}' {NO_ADDRESS}"),
        ({"address": "::1"}, f".address: '::1' {NO_ADDRESS}"),
        ({"status": 101}, ".status: Input should be greater than or equal to 200"),
        ({"status": 600}, ".status: Input should be less than or equal to 599"),
        ({"status": "503"}, ".status: Input should be a valid integer"),
        ({"status": True}, ".status: Input should be a valid integer"),
        ({"delay_s": float("inf")}, ".delay_s: Input should be a finite number"),
        ({"delay_s": float("nan")}, ".delay_s: Input should be a finite number"),
        ({"delay_s": "12"}, ".delay_s: Input should be a valid number"),
        ({"delay_s": True}, ".delay_s: Input should be a valid number"),
        ({"drop": "true"}, ".drop: Input should be a valid boolean"),
        ({"drop": 1}, ".drop: Input should be a valid boolean"),
        ({"body": "b"}, f": body {WITHOUT_STATUS}"),
        ({"delay_s": 1, "body": "b"}, f": body {WITHOUT_STATUS}"),
        ({"drop": True, "content_type": "text/plain"}, f": content_type {WITHOUT_STATUS}"),
        ({"reset": True, "headers": {"A": "b"}}, f": headers {WITHOUT_STATUS}"),
        (
            {"status": 503, "headers": {"X-A": "a\nb"}},
            ".headers: the value of the header 'X-A' has a control character",
        ),
        ({"status": 503, "headers": {"X\nA": "b"}}, ".headers: 'X\\nA' is no header name"),
        ({"status": 503, "headers": {"": "b"}}, ".headers: '' is no header name"),
        (
            {"status": 503, "content_type": "a\r\nb"},
            ".content_type: the value of the header 'Content-Type' has a control character",
        ),
        (
            {"edit": {"header_set": {"A": "\x00"}}},
            ".edit.header_set: the value of the header 'A' has a control character",
        ),
        ({"edit": {"header_add": {"A:": "b"}}}, ".edit.header_add: 'A:' is no header name"),
        ({"edit": {"header_drop": ["A b"]}}, ".edit.header_drop: 'A b' is no header name"),
        (
            {"edit": {}},
            (
                ".edit: says nothing; give one of header_set, header_add, header_drop, body_replace, json, "
                "truncate"
            ),
        ),
        ({"edit": {"truncate": "3"}}, ".edit.truncate: Input should be a valid integer"),
    ],
)
def test_what_a_fault_cannot_do(do: dict[str, object], complaint: str) -> None:
    """Values that are none, and keys that would have no effect, are refused with their place."""
    with pytest.raises(FaultError) as error:
        parse_fault({"edge": "gateway->auth", "do": do})
    assert str(error.value) == f"a fault's do{complaint}"


def test_the_name_inside_is_not_the_key() -> None:
    """A merge patch is called json and nothing else."""
    with pytest.raises(FaultError) as error:
        parse_fault({"edge": "gateway->auth", "do": {"edit": {"json_patch": {"a": 1}}}})
    assert str(error.value) == "unknown key 'do.edit.json_patch' in a fault"


def test_whatever_a_fault_can_do_survives_the_table(tmp_path: Path) -> None:
    """What TOML gives (lists, whole numbers for seconds) is taken, and read back from the table as it was."""
    edit = {
        "header_set": {"X-A": "ü\tb"},
        "header_add": {"X-B": ""},
        "header_drop": ["Server"],
        "body_replace": "",
        "json": {"a": [1, {"b": True}]},
        "truncate": 0,
    }
    dos = [
        {"status": 200, "body": "", "content_type": "text/plain", "headers": {"X-A": "b"}, "edit": edit},
        {"address": "127.0.0.9", "delay_s": 12},
        {"drop": False, "delay_s": 0.5},
    ]
    faults = [parse_fault({"edge": "gateway->auth", "do": do, "every": 2}) for do in dos]
    table = table_of(tmp_path, *faults)
    seen = [table.effect("gateway->auth", PUT) for _ in range(2)]
    assert seen == [Effect(), Effect(faults[0].do, 12.5, (Edit.model_validate(edit, strict=False),))]


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({}, True),
        ({"path": "*/mlflow-artifacts/*", "method": "put"}, True),
        ({"path": "*/MLFLOW-artifacts/*"}, False),
        ({"path": "/api/mlflow"}, False),
        ({"host": "REGISTRY.?.test"}, True),
        ({"host": "auth.*"}, False),
        ({"query": {"path": "x/*"}}, True),
        ({"query": {"other": "*"}}, False),
        ({"header": {"Authorization": "Bearer *"}}, True),
        ({"header": {"X-API-Key": "*"}}, False),
        ({"min_body_bytes": 100}, True),
        ({"min_body_bytes": 101}, False),
    ],
)
def test_what_a_match_takes(match: dict[str, object], expected: bool) -> None:
    """Every part of a match must fit; what is left out fits everything."""
    assert matches(Match.model_validate(match), PUT) is expected


def test_the_first_answer_wins_and_delays_and_edits_add_up(tmp_path: Path) -> None:
    """Of several faults on an edge one answers, all others delay, edit and rewrite."""
    path = tmp_path / "faults.json"
    edits = [Edit(header_set={"A": "1"}), Edit(truncate=3)]
    rewrite = Rewrite(query_keep="last")
    dos = [
        Do(delay_s=1),
        Do(edit=edits[0]),
        Do(status=500),
        Do(status=418),
        Do(delay_s=2.5),
        Do(edit=edits[1], rewrite=rewrite),
    ]
    write_table(path, [Fault(edge="gateway->auth", do=do) for do in dos])
    effect = FaultTable(path).effect("gateway->auth", PUT)
    assert effect == Effect(answer=dos[2], delay_s=3.5, edits=tuple(edits), rewrites=(rewrite,))
    assert FaultTable(path).effect("gateway->mlflow", PUT) == Effect()


@given(every=st.integers(1, 7), matching=st.lists(st.booleans(), max_size=40))
def test_every_nth_match_is_hit(
    tmp_path_factory: pytest.TempPathFactory, every: int, matching: list[bool]
) -> None:
    """Exactly each N-th matching request is hit, whatever comes in between."""
    path = tmp_path_factory.mktemp("every") / "faults.json"
    write_table(path, [Fault(edge="gateway->auth", match=Match(path="/a"), do=Do(status=500), every=every)])
    table = FaultTable(path)
    hits = [
        table.effect("gateway->auth", Seen(path="/a" if match else "/b")).answer is not None
        for match in matching
    ]
    counts = [sum(matching[: index + 1]) for index in range(len(matching))]
    assert hits == [match and count % every == 0 for match, count in zip(matching, counts, strict=True)]


def table_of(tmp_path: Path, *faults: Fault) -> FaultTable:
    """A table of these faults."""
    write_table(tmp_path / "faults.json", faults)
    return FaultTable(tmp_path / "faults.json")


@pytest.mark.parametrize("edge", get_args(Edge))
def test_every_edge_can_be_broken(edge: str, tmp_path: Path) -> None:
    """Each edge of the scenario contract takes a fault, and it meets that edge alone."""
    table = table_of(tmp_path, parse_fault({"edge": edge, "do": {"drop": True}}))
    met = [one for one in get_args(Edge) if table.effect(one, Seen(host="h", path="/p")).answer]
    assert met == [edge]


def _count_hits(path: Path, times: int) -> int:
    table = FaultTable(path)
    return sum(table.effect("gateway->auth", PUT).answer is not None for _ in range(times))


def test_every_nth_match_is_counted_across_processes_and_counters_apart(tmp_path: Path) -> None:
    """Two processes and this one share a count; a table with a counter of its own does not."""
    path = tmp_path / "faults.json"
    write_table(path, [Fault(edge="gateway->auth", do=Do(status=500), every=3)])
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        hits = sum(pool.map(_count_hits, [path, path], [10, 10])) + _count_hits(path, 10)
    health = FaultTable(path, counter="health checks")
    apart = [health.effect("gateway->auth", PUT).answer is not None for _ in range(3)]
    assert (hits, apart) == (10, [False, False, True])


def test_equal_faults_count_each_for_itself(tmp_path: Path) -> None:
    """Two equal faults do not use up each other's matches; one that a new table has elsewhere starts anew."""
    slow = Fault(edge="gateway->auth", do=Do(delay_s=1), every=3)
    table = table_of(tmp_path, slow, slow)
    seen = [table.effect("gateway->auth", PUT).delay_s for _ in range(7)]
    write_table(tmp_path / "faults.json", [slow, slow, slow])
    seen += [table.effect("gateway->auth", PUT).delay_s for _ in range(3)]
    assert seen == [0, 0, 2, 0, 0, 2, 0, 0, 2, 1]


def test_what_a_connection_meets(tmp_path: Path) -> None:
    """A front that sees no requests gets the first fault of connections, and the sum of all delays."""
    faults = [
        Fault(edge="gateway->database", do=Do(delay_s=1)),
        Fault(edge="gateway->database", do=Do(nxdomain=True)),
        Fault(edge="gateway->database", match=Match(host="other.*"), do=Do(refuse=True)),
        Fault(edge="gateway->database", do=Do(reset=True, delay_s=0.5), every=3),
        Fault(edge="mlflow->database", do=Do(drop=True)),
    ]
    table = table_of(tmp_path, *faults)
    ours = [table.connection("gateway->database", "db.test") for _ in range(3)]
    assert ours == [Do(delay_s=1), Do(delay_s=1), Do(reset=True, delay_s=1.5)]
    assert table.connection("gateway->database", "other.test") == Do(refuse=True, delay_s=1)
    assert table.connection("mlflow->database") == Do(drop=True)
    assert table.connection("gateway->cache") is None


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ([], None),
        ([{"do": {"refuse": True}}], Do(refuse=True)),
        ([{"do": {"drop": True}}], Do(drop=True)),
        ([{"match": {"host": "AUTH.*"}, "do": {"drop": True}}], Do(drop=True)),
        ([{"match": {"host": "api.z.test"}, "do": {"drop": True}}], None),
        ([{"match": {"path": "/x"}, "do": {"drop": True}}], None),
        ([{"do": {"drop": True}, "every": 2}], None),
        ([{"do": {"reset": True}}], None),
        ([{"do": {"status": 500}}, {"do": {"drop": True}}], None),
        ([{"match": {"path": "/x"}, "do": {"status": 500}}, {"do": {"drop": True}}], None),
        ([{"match": {"host": "api.*"}, "do": {"status": 500}}, {"do": {"drop": True}}], Do(drop=True)),
        ([{"do": {"delay_s": 1}}, {"do": {"refuse": True}}], Do(refuse=True)),
    ],
)
def test_what_stands_between_a_client_and_a_listener(
    faults: list[dict[str, object]], expected: Do | None, tmp_path: Path
) -> None:
    """A refuse or drop stands when it meets every request to the host; whatever answers before it wins."""
    edge = "client->load-balancer"
    table = table_of(tmp_path, *(parse_fault({"edge": edge} | fault) for fault in faults))
    assert table.standing(edge, "auth.z.test") == expected


def test_what_a_name_meets(tmp_path: Path) -> None:
    """Names are changed by nxdomain and address, for the host that matches, each third time if so asked."""
    table = table_of(
        tmp_path,
        Fault(edge="gateway->database", do=Do(drop=True)),
        Fault(edge="gateway->database", match=Match(host="db.*"), do=Do(address="127.0.0.9"), every=2),
    )
    seen = [table.name("gateway->database", host) for host in ("x", "db.test", "db.test")]
    assert seen == [None, None, Do(address="127.0.0.9")]


def test_the_table_is_read_again_when_it_changed(tmp_path: Path) -> None:
    """No file, a file, another file, no file: the next question sees it."""
    path = tmp_path / "faults.json"
    table = FaultTable(path)
    seen: list[Do | None] = []
    for do in (None, Do(status=500), Do(refuse=True), None):
        if do is None:
            path.unlink(missing_ok=True)
        else:
            write_table(path, [Fault(edge="gateway->auth", do=do)])
        seen.append(table.effect("gateway->auth", PUT).answer)
    assert seen == [None, Do(status=500), Do(refuse=True), None]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("edit", "before", "after"),
    [
        ({"body_replace": "new"}, b"old", b"new"),
        ({"truncate": 2}, b"old", b"ol"),
        ({"json": {"a": {"b": 2}, "c": None}}, b'{"a":{"x":1},"c":3}', b'{"a": {"x": 1, "b": 2}}'),
        ({"json": {"a": 1}}, b"<html>", b"<html>"),
        ({"body_replace": '{"a": 1}', "json": {"b": 2}, "truncate": 7}, b"", b'{"a": 1'),
    ],
)
def test_edits_of_a_body(edit: dict[str, object], before: bytes, after: bytes) -> None:
    """Replaced, merged (RFC 7386), cut, in this order; a body that is not JSON is not merged."""
    assert patched(before, Edit.model_validate(edit)) == after
