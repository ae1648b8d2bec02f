"""The decision as JUnit XML: what is not decided is a failure with a type of its own, never a skip."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree as ET

from pytest_finchaos.gates.result import ClaimRow, GateResult, Row, State, Status
from pytest_finchaos.gates.text import clip, heading

FAILURES = (State.FAIL, State.UNDECIDED)  # the drill ran and did not pass; all else is an error: nothing was shown
TYPE = "finchaos"
_MESSAGE = 400


def render(result: GateResult) -> str:
    """The XML document: one test case for each required drill and each claim, names unique.

    A gate that is not concerned is one skipped case: then nothing was asked, and nothing is unknown.
    """
    rows = result.items
    states = [row.state for row in rows]
    failures = sum(state in FAILURES for state in states)
    errors = len(states) - failures - states.count(State.PASS)
    skipped = result.status is Status.NOT_CONCERNED
    totals = {
        "tests": str(len(rows) + skipped),
        "failures": str(failures),
        "errors": str(errors),
        "skipped": str(int(skipped)),
        "time": _seconds(sum(row.duration_s for row in result.rows)),
    }
    root = ET.Element("testsuites", {"name": "finchaos", **totals})
    stamp = result.decided_at.split(".")[0].split("+")[0].removesuffix("Z")
    name = f"finchaos gate {_xml(result.name)}"
    suite = ET.SubElement(root, "testsuite", {"name": name, **totals, "timestamp": stamp, "hostname": "localhost"})
    properties = ET.SubElement(suite, "properties")
    for key, value in (
        ("finchaos.gate", result.name),
        ("finchaos.status", result.status.value),
        ("finchaos.exit_code", str(result.exit_code)),
        ("finchaos.on_undecided", result.on_undecided),
        ("finchaos.runs", " ".join(result.runs)),
    ):
        ET.SubElement(properties, "property", {"name": key, "value": _xml(value)})
    if skipped:
        case = ET.SubElement(suite, "testcase", {"classname": name, "name": "not concerned", "time": "0.000"})
        ET.SubElement(case, "skipped", {"message": _xml(result.text)})
    seen: Counter[tuple[str, str]] = Counter()
    for row in rows:
        _case(suite, row, seen)
    ET.SubElement(suite, "system-out").text = _xml("\n".join([heading(result), *result.notes]))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _case(suite: ET.Element, row: Row | ClaimRow, seen: Counter[tuple[str, str]]) -> None:
    group, name = _names(row)
    seen[group, name] += 1
    if seen[group, name] > 1:  # GitLab shows only the first of equal names
        name = f"{name} ({seen[group, name]})"
    time = _seconds(row.duration_s if isinstance(row, Row) else 0.0)
    case = ET.SubElement(suite, "testcase", {"classname": group, "name": name, "time": time})
    if row.state is State.PASS:
        return
    message = {"message": _xml(clip(f"{row.state.value}: {row.text}", _MESSAGE)), "type": f"{TYPE}.{row.state.value}"}
    tag = "failure" if row.state in FAILURES else "error"
    lines = [row.text]
    if isinstance(row, Row):
        lines += [f"{key}: {value}" for key, value in (("run", row.run), ("again", row.replay)) if value]
    ET.SubElement(case, tag, message).text = _xml("\n".join(lines))


def _names(row: Row | ClaimRow) -> tuple[str, str]:
    if isinstance(row, ClaimRow):
        return "claims", _xml(row.name)
    file, _, name = row.id.partition("::")
    group = file.removesuffix(".py").replace("/", ".")
    return (_xml(group), _xml(name)) if name else ("required", _xml(row.id))


def _seconds(duration_s: float) -> str:
    return f"{max(duration_s, 0.0):.3f}"


def _xml(text: str) -> str:
    """Text without what XML 1.0 cannot hold."""
    return "".join(letter if _legal(ord(letter)) else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _legal(code: int) -> bool:
    return code in (0x9, 0xA) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000
