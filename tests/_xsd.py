"""The part of XML Schema that junit.xsd uses: sequences of references, attributes and their types."""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

XS = "{http://www.w3.org/2001/XMLSchema}"
TYPES = {
    "xs:string": r"(?s).*",
    "xs:integer": r"-?\d+",
    "xs:decimal": r"-?\d+(\.\d+)?",
    "xs:dateTime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d",
}


def faults(document: str, schema: Path) -> list[str]:
    """What is wrong with a document, as sentences."""
    found = ElementTree.parse(schema).getroot()
    known = {str(e.get("name")): e for e in found}
    return list(_of(ElementTree.fromstring(document), known))


def _of(element: Element, known: dict[str, Element]) -> Iterator[str]:
    if element.tag not in known:
        yield f"<{element.tag}> is not known"
        return
    declared = known[element.tag][0]
    yield from _attributes(element, declared)
    order = "".join(f"(?:{p.get('ref')},){_times(p)}" for p in declared.iter(f"{XS}element"))
    if not re.fullmatch(order, "".join(f"{child.tag}," for child in element)):
        yield f"<{element.tag}> holds {[child.tag for child in element]}"
    if (
        declared.get("mixed") != "true"
        and "".join([element.text or "", *(c.tail or "" for c in element)]).strip()
    ):
        yield f"<{element.tag}> holds text"
    for child in element:
        yield from _of(child, known)


def _times(particle: Element) -> str:
    most = particle.get("maxOccurs", "1")
    return f"{{{particle.get('minOccurs', '1')},{'' if most == 'unbounded' else most}}}"


def _attributes(element: Element, declared: Element) -> Iterator[str]:
    wanted = {str(a.get("name")): a for a in declared.iter(f"{XS}attribute")}
    yield from (f"<{element.tag}> has {name}" for name in set(element.attrib) - set(wanted))
    for name, attribute in wanted.items():
        value = element.get(name)
        if value is None and attribute.get("use") == "required":
            yield f"<{element.tag}> lacks {name}"
        if value is not None and not re.fullmatch(TYPES[str(attribute.get("type"))], value):
            yield f"<{element.tag}> has {name}={value!r}"
