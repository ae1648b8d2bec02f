"""The decision for people: a table for the terminal, and Markdown for a step summary."""

from __future__ import annotations

from pytest_finchaos.gates.result import ClaimRow, GateResult, Row, State, Status

SHAPES = {State.PASS: "✓", State.FAIL: "✕", State.UNDECIDED: "◆", State.INVALID: "▲"}
_OTHER = "■"
_HEADS = {
    Status.PASS: "PASS",
    Status.FAIL: "FAIL",
    Status.BLOCKED: "BLOCKED",
    Status.UNDECIDED: "UNDECIDED",
    Status.NOT_CONCERNED: "NOT CONCERNED",
}
_LIMIT_BYTES = 200_000  # a step summary may hold 1 MiB, and other steps write into it too
_TEXT = 300


def heading(result: GateResult) -> str:
    """``gate canary: BLOCKED: 3 required drills: 1 missing, 2 pass``."""
    return line(f"gate {result.name}: {_HEADS[result.status]}: {result.text}")


def terminal(result: GateResult, width: int = 100) -> list[str]:
    """The table, what stands in the way first; each reason below its drill.

    Args:
        result: The decision.
        width: Columns of the terminal.
    """
    lines = []
    for row in result.rows:
        age = "" if row.age_h is None else f"{row.age_h:.1f} h"
        lines.append(f"{_sign(row.state)} {row.state.value:<10} {age:>8}  {line(row.id)}")
        if row.state is not State.PASS:
            lines.extend(_wrapped(row.text, width))
            if row.replay and row.state is not State.STALE:
                lines.append(f"{' ' * 23}again: {line(row.replay)}")
    for claim in result.claims:
        lines.append(f"{_sign(claim.state)} {claim.state.value:<10} {'':>8}  {line(claim.name)}")
        lines.extend(_wrapped(claim.text, width))
    lines.extend(f"note: {line(note)}" for note in result.notes)
    lines.append(f"{heading(result)} (exit {result.exit_code})")
    return lines


def markdown(result: GateResult) -> str:
    """The decision as GitHub-flavoured Markdown, at most 200,000 bytes; what does not fit is counted."""
    rows = result.items
    head = f"## {_mark(result.status)} Gate `{_code(result.name)}`: {_HEADS[result.status]}"
    parts = [head, "", _cell(result.text), ""]
    if rows:
        parts += ["| State | Required | Age | Why | Run |", "|---|---|---|---|---|"]
    size = sum(len(part.encode()) + 1 for part in parts)
    for at, row in enumerate(rows):
        text = _markdown_row(row)
        size += len(text.encode()) + 1
        if size > _LIMIT_BYTES:
            parts.append(f"| | … and {len(rows) - at} more | | | |")
            break
        parts.append(text)
    again = [row.replay for row in result.rows if row.replay and row.state not in (State.PASS, State.STALE)][:10]
    if again:
        parts += ["", "To repeat:", "", "````text", *(line(words).replace("````", "") for words in again), "````"]
    if result.notes:
        parts += ["", *(f"* {_cell(note)}" for note in result.notes[:20])]
    return "\n".join(parts) + "\n"


def _markdown_row(row: Row | ClaimRow) -> str:
    state = f"{_sign(row.state)} {row.state.value}"
    if isinstance(row, ClaimRow):
        return f"| {state} | claim {_cell(row.name)} | | {_cell(row.text)} | |"
    age = "" if row.age_h is None else f"{row.age_h:.1f} h"
    return f"| {state} | {_cell(row.id)} | {age} | {_cell(row.text)} | {_cell(row.run)} |"


def line(text: str) -> str:
    """One line without control characters and lone surrogates: ids and answers of servers may hold both."""
    clean = "".join(letter if letter.isprintable() and not 0xD800 <= ord(letter) <= 0xDFFF else " " for letter in text)
    return " ".join(clean.split())


def clip(text: str, limit: int = _TEXT) -> str:
    """``text`` on one line of at most ``limit`` characters."""
    one = line(text)
    return one if len(one) <= limit else one[: limit - 1].rstrip() + "…"


def _sign(state: State) -> str:
    return SHAPES.get(state, _OTHER)


def _mark(status: Status) -> str:
    return {Status.PASS: "✓", Status.FAIL: "✕", Status.UNDECIDED: "◆", Status.NOT_CONCERNED: "–"}.get(status, _OTHER)


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    indent = " " * 23
    return textwrap.wrap(
        clip(text, 600),
        max(width, 60),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _code(text: str) -> str:
    return line(text).replace("`", "'")


def _cell(text: str) -> str:
    """Text that Markdown must not read as markup, in one cell."""
    words = clip(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{letter}" if letter in "\\`*_[]#!~|" else letter for letter in words)
