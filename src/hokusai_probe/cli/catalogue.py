"""``checks``, ``causes`` and ``schema``: what this tool looks at, what it can name, and its data format."""

from __future__ import annotations

import json
from collections.abc import Mapping

import click

from hokusai_probe.cli.output import columns, say
from hokusai_probe.declare import Catalogue, Cause, Check, Probe, catalogue
from hokusai_probe.model import Report
from hokusai_probe.runner import UsageError

_BAN = ("additionalProperties", False)


@click.command()
@click.argument("slug", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def checks(slug: str | None, as_json: bool) -> None:
    """List the looks and their checks, or show one page about SLUG."""
    found = catalogue()
    if as_json:
        say(json.dumps([check_entry(c, found) for c in found.checks.values()], indent=2))
    elif slug is None:
        say(_list_of_checks(found))
    else:
        say(_check_page(found, slug))


def check_entry(check: Check, found: Catalogue) -> dict[str, str | int]:
    """One check as plain data."""
    probe = found.probes[check.probe]
    return {
        "check": check.slug,
        "title": check.title,
        "area": check.area,
        "component": check.component,
        "hop": check.hop,
        "probe": check.probe,
        "class": probe.safety,
        "cost": probe.cost,
    }


def _list_of_checks(found: Catalogue) -> str:
    return "\n\n".join(_look(found, p) for p in sorted(found.probes.values(), key=lambda p: (p.area, p.slug)))


def _look(found: Catalogue, probe: Probe) -> str:
    head = f"{probe.slug}  [{probe.area}, {probe.safety}, at most {probe.cost} requests]  {probe.title}"
    rows = [(f"    {c.slug}", c.title) for c in found.checks_of(probe.slug)]
    return "\n".join([head, columns(rows)]) if rows else head


def _check_page(found: Catalogue, slug: str) -> str:
    if slug in found.probes:
        probe = found.probes[slug]
        return f"{_look(found, probe)}\n\n{probe.doc}"
    if slug not in found.checks:
        msg = f"{slug!r} is no look or check; `hokusai-probe checks` lists them"
        raise UsageError(msg)
    check = found.checks[slug]
    rows = [(name, str(value)) for name, value in check_entry(check, found).items()]
    return f"{check.doc}\n\n{columns(rows)}\n\n{found.probes[check.probe].doc}"


@click.command()
@click.argument("slug", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def causes(slug: str | None, as_json: bool) -> None:
    """List the causes that can be named, or show one page about SLUG."""
    found = catalogue().causes
    if slug is not None and slug not in found:
        msg = f"{slug!r} is no cause; `hokusai-probe causes` lists them"
        raise UsageError(msg)
    if as_json:
        chosen = [found[slug]] if slug else list(found.values())
        say(json.dumps([cause_entry(c) for c in chosen], indent=2))
    elif slug is None:
        say(columns((c.slug, c.component, c.title) for c in found.values()))
    else:
        say(_cause_page(found[slug]))


def cause_entry(cause: Cause) -> dict[str, object]:
    """One cause as plain data."""
    return {
        "cause": cause.slug,
        "component": cause.component,
        "title": cause.title,
        "priority": cause.priority,
        "effort": cause.effort,
        "sensitive": cause.sensitive,
        "entails": list(cause.entails),
        "look_alikes": dict(cause.look_alikes),
        "source": cause.source,
        "doc": cause.doc,
    }


def _cause_page(cause: Cause) -> str:
    alike = [(f"  {slug}", text) for slug, text in cause.look_alikes.items()]
    return "\n\n".join([
        f"{cause.slug}: {cause.doc}",
        columns([
            ("who must act", cause.component),
            ("priority", cause.priority),
            ("effort", cause.effort),
            ("entails", ", ".join(cause.entails) or "nothing"),
            ("known from", cause.source),
        ]),
        "Mistaken for:\n" + columns(alike),
    ])  # fmt: skip


@click.command()
def schema() -> None:
    """Print the JSON Schema of the report.

    Within a major version nothing of it is taken away or changes its type. Keys and values may be added:
    ignore what you do not know.
    """
    say(json.dumps(report_schema(), indent=2))


def report_schema() -> dict[str, object]:
    """The JSON Schema (2020-12) of a report's JSON: what is there. Later versions may add keys beside it."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**dialect, **_open(Report.model_json_schema(mode="serialization"))}


def _open(schema: Mapping[str, object]) -> dict[str, object]:
    """The schema without its ban on further keys: an older one must let a newer report pass."""
    return {key: _opened(value) for key, value in schema.items() if (key, value) != _BAN}


def _opened(value: object) -> object:
    if isinstance(value, dict):
        return _open(value)
    return [_opened(one) for one in value] if isinstance(value, list) else value
