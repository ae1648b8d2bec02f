"""``summary.md``: what a step summary of a CI system shows, below its limit of 64 KB."""

from __future__ import annotations

from pytest_finchaos.model.release import Exposure
from pytest_finchaos.model.result import DrillResult, RunResult
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.reporting import facts, releases, story
from pytest_finchaos.reporting.formats import clip, printable, seconds
from pytest_finchaos.reporting.palette import SHAPES

LIMIT_BYTES = 60_000
_STORY_LINES = 60
_MAX_NOT_CHECKED = 40
_MAX_RELEASES = 40


def render_markdown(run: RunResult) -> str:
    """The run as GitHub-flavoured Markdown, at most 60,000 bytes; what does not fit is named."""
    head = [
        f"## {SHAPES[run.verdict]} {run.verdict.value}: finchaos run {_cell(run.run.id)}",
        "",
        _text(facts.run_sentence(run)),
        "",
        *_drill_table(run),
        *_releases(run),
        *_problems(run),
        *_not_checked(run),
        *_replay(run),
    ]
    parts = ["\n".join(head)]
    left = LIMIT_BYTES - _size(parts[0])
    failing = [drill for drill in run.drills if drill.verdict is not Verdict.PASS]
    for at, drill in enumerate(failing):
        section = "\n".join(_story(drill))
        if _size(section) > left - 200:
            parts.append(f"\n\n{len(failing) - at} more stories did not fit here: see `report.html`.")
            break
        parts.append(section)
        left -= _size(section)
    return printable("".join(parts).rstrip()) + "\n"


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _drill_table(run: RunResult) -> list[str]:
    rows = ["| Verdict | Drill | Why | Took |", "|---|---|---|---|"]
    for drill in run.drills[:200]:
        verdict = f"{SHAPES[drill.verdict]} {drill.verdict.value}"
        name, why = _cell(facts.short_id(drill.id)), _cell(facts.headline(drill))
        rows.append(f"| {verdict} | {name} | {why} | {seconds(drill.duration_s)} |")
    hidden = len(run.drills) - 200
    return [*rows, *([f"| | … and {hidden} more | see `report.html` | |"] if hidden > 0 else [])] if run.drills else []


def _releases(run: RunResult) -> list[str]:
    rows = [(drill, one) for drill in run.drills for one in drill.releases]
    if not rows:
        return []
    lines = ["", "### Releases", "", "| Release | Exposed | Because | Drill |", "|---|---|---|---|"]
    for drill, one in rows[:_MAX_RELEASES]:
        exposed = releases.exposure_words(one.exposure.get(one.version, Exposure()))
        cells = (releases.title(one), exposed, clip(one.text, 240), facts.short_id(drill.id))
        lines.append("| " + " | ".join(map(_cell, cells)) + " |")
    if len(rows) > _MAX_RELEASES:
        lines.append(f"| … and {len(rows) - _MAX_RELEASES} more | | see `report.html` | |")
    return lines


def _problems(run: RunResult) -> list[str]:
    return ["", *(f"* {_text(clip(problem, 300))}" for problem in run.problems[:20])] if run.problems else []


def _not_checked(run: RunResult) -> list[str]:
    rows = facts.not_checked(run)
    if not rows:
        return ["", "### Not checked", "", "Nothing that was declared was left unchecked."]
    lines = ["", "### Not checked", "", "| What | Why | Drills |", "|---|---|---|"]
    lines.extend(
        f"| {_cell(clip(what, 160))} | {_cell(clip(why, 240))} | {len(drills) or '–'} |"
        for what, why, drills in rows[:_MAX_NOT_CHECKED]
    )
    if len(rows) > _MAX_NOT_CHECKED:
        lines.append(f"| … and {len(rows) - _MAX_NOT_CHECKED} more | see `report.html` | |")
    return lines


def _replay(run: RunResult) -> list[str]:
    return ["", "### Replay", "", *_code([run.run.replay])]


def _story(drill: DrillResult) -> list[str]:
    lines = story.failure_story(drill)
    if len(lines) > _STORY_LINES:
        lines = [*lines[: _STORY_LINES - 2], "…", *lines[-2:]]
    return ["", "", f"### {SHAPES[drill.verdict]} {_text(clip(facts.short_id(drill.id), 200))}", "", *_code(lines)]


def _code(lines: list[str]) -> list[str]:
    """A fenced block whose fence is longer than any run of backticks inside, so that no text can close it."""
    longest, run = 2, 0
    for letter in "\n".join(lines):
        run = run + 1 if letter == "`" else 0
        longest = max(longest, run)
    fence = "`" * (longest + 1)
    return [f"{fence}text", *lines, fence]


def _cell(text: str) -> str:
    return _text(text).replace("|", "\\|")


def _text(text: str) -> str:
    """Text that Markdown must not read as markup, on one line."""
    line = " ".join(printable(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{letter}" if letter in "\\`*_[]#!~" else letter for letter in line)
