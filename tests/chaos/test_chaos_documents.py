"""What experiments came to, in words."""

from chaos_kit import experiment, kept, looks, recorded, uses

from hokusai_probe.chaos.documents import detection, documents, summary
from hokusai_probe.chaos.facts import Event, LimitSeen
from hokusai_probe.chaos.judging import judge

HOSTILE = "<b>|`x`@team ::error::"


def test_the_table_has_a_row_for_each_and_what_was_not_as_expected() -> None:
    """Measured figures, the outcome, and the reasons below."""
    well = judge(recorded())
    lost = judge(recorded(experiment=experiment(name="bad"), kept=[kept("one"), kept("two", "lost")]))
    skipped = judge(recorded(experiment=experiment(name="small"), skipped="no mount", fault_began_s=None))
    lines = summary([well, lost, skipped]).splitlines()

    figures = "2.0 s | <code>a</code> | 4.0 s | 33 % | 33 % | 33 % | 4.0 s"
    assert lines[0] == "3 experiments: 1 as expected, 1 deviated, 1 skipped."
    assert lines[4:7] == [
        f"| <code>made-up</code> | as expected | {figures} | 0 of 2 |",
        f"| <code>bad</code> | **deviated** | {figures} | 1 of 2 |",
        "| <code>small</code> | skipped | - | none | - | - | - | - | 4.0 s | - |",
    ]
    assert lines[-4:] == ["## Not as expected", "", "- bad: lost: artifact two", "- small: no mount"]


def test_a_page_tells_what_happened_when() -> None:
    """Seconds since the fault began, the first user's failure among them, and nothing foreign is markup."""
    seen = recorded(events=[Event(at_s=10.0, what=HOSTILE), Event(at_s=31.0, what="service mlflow restart")])
    files = documents([judge(seen)])
    page = files["chaos/made-up.md"]

    assert sorted(files) == ["chaos.md", "chaos/made-up.md"]
    assert "[<code>made-up</code>](chaos/made-up.md)" in files["chaos.md"]
    assert page.splitlines()[-4:] == [
        "| --- | --- |",
        "| 0.0 | &lt;b&gt;&vert;\\`x\\`@\u200bteam ::error:: |",
        "| 2.0 | a user fails for the first time (read: ) |",
        "| 21.0 | service mlflow restart |",
    ]


def test_a_limit_that_was_not_seen_is_said_to_be_so() -> None:
    """It is no pass; one that was seen is told with the platform's own seconds."""
    seen = [
        LimitSeen(method="GET", path="/a", sent=30, taken=30, refused=False, seconds=2.0),
        LimitSeen(method="POST", path="/b", sent=25, taken=20, refused=True, seconds=2.0, let_in_s=12.0),
    ]
    wanted = [
        {"method": "GET", "path": "/a", "requests": 20},
        {"method": "POST", "path": "/b", "requests": 20},
    ]
    limited = experiment(limits=wanted, method=[{"kind": "limits"}], expect={"causes": ["a"]})
    text = summary([judge(recorded(experiment=limited, limits=seen, time_scale=5.0))])

    assert "- made-up: GET /a: no rate limit seen within 30 requests in 2.0 s\n" in text
    assert text.endswith(
        "- made-up: POST /b: takes 20 requests, then 429 without Retry-After, lets in again after 12.0 s"
        " (60 s of the platform's)"
    )


def test_the_accuracy_page_gets_a_short_table() -> None:
    """Of what was carried out; where no cause can be named it says so."""
    results = [
        judge(recorded()),
        judge(recorded(experiment=experiment(name="quiet", expect={"detected": False}), used=uses(12, 32),
                       sightings=[looks(11), looks(32)])),
        judge(recorded(experiment=experiment(name="small"), skipped="no mount", fault_began_s=None)),
    ]  # fmt: skip

    assert detection(results).splitlines()[6:] == [
        "| `made-up` | 2.0 | 4.0 | reads 33 %, registrations 33 %, transfers 33 % | 4.0 | 0 |",
        "| `quiet` | - | none to name | reads 100 %, registrations 100 %, transfers 100 % | 2.0 | 0 |",
    ]
