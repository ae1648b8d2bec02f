"""Run the demo suite many times in a row and keep one line for each run and drill; resume where the file stops.

Nothing is retried: every run counts, also one that wrote no report. The lines of one run are appended at once,
so a run that was interrupted left none and is done again under the same number.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RUNS = 20
RUN_WITHIN_S = 900.0
UNDECIDED_SHARE = 2 / 140  # the project's own limit: two drills of twenty runs of seven
NO_REPORT = "NO REPORT"
HEADER = "run\tdate\tdrill\tverdict\treasons\thost\tcommit"


@dataclass(frozen=True, slots=True)
class Line:
    """One drill of one run; `host` holds measured figures, so that an undecided drill shows its cause."""

    run: int
    date: str
    drill: str
    verdict: str
    reasons: str
    host: str
    commit: str

    def to_text(self) -> str:
        """Tab-separated, on one line."""
        return "\t".join(" ".join(str(field).split()) or "-" for field in astuple(self))

    @classmethod
    def from_text(cls, text: str) -> Line:
        """The reverse of `to_text`."""
        run, date, drill, verdict, reasons, host, commit = text.rstrip("\n").split("\t")
        return cls(int(run), date, drill, verdict, reasons, host, commit)


def read(path: Path) -> list[Line]:
    """All lines of an earlier soak."""
    if not path.exists():
        return []
    return [Line.from_text(text) for text in path.read_text(encoding="utf-8").split("\n") if text not in ("", HEADER)]


def append(path: Path, lines: Sequence[Line]) -> None:
    """Add the lines of one run: all of them, or none when interrupted (a new file takes the old one's place)."""
    texts = [HEADER, *(line.to_text() for line in (*read(path), *lines))]
    new = path.with_name(path.name + ".new")
    with new.open("wb") as file:
        file.write("".join(f"{text}\n" for text in texts).encode())
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def lines_of(report: dict[str, Any], *, run: int, date: str, commit: str) -> list[Line]:
    """One line for each drill of a report."""
    found = []
    for drill in report["drills"]:
        reasons = "; ".join(f"{reason['code']}: {reason['text']}" for reason in drill["reasons"])
        host = " ".join(f"{name}={value:.3g}" for name, value in sorted(drill.get("host", {}).items()))
        found.append(Line(run, date, drill["id"], drill["verdict"], reasons, host, commit))
    return found


def without_report(*, run: int, date: str, commit: str, why: str) -> Line:
    """The line of a run that wrote no report."""
    return Line(run, date, "-", NO_REPORT, why, "", commit)


def summary(lines: Sequence[Line]) -> tuple[str, bool]:
    """The closing text, and whether the soak met its limits: no FAIL, every run reported, few undecided drills."""
    runs = len({line.run for line in lines})
    counts = Counter(line.verdict for line in lines)
    undecided = [line for line in lines if line.verdict in ("INCONCLUSIVE", "INVALID")]
    bad = [line for line in lines if line.verdict in ("FAIL", NO_REPORT)]
    allowed = int(len(lines) * UNDECIDED_SHARE + 1e-9)
    commits = sorted({line.commit for line in lines})
    texts = [
        f"soak: {runs} runs, {len(lines)} drills, commits {', '.join(commits)}",
        "soak: " + ", ".join(f"{counts[verdict]} {verdict}" for verdict in sorted(counts)),
        f"soak: {len(undecided)} undecided, {allowed} allowed",
    ]
    for line in [*bad, *undecided]:
        texts += [f"  run {line.run} {line.drill}: {line.verdict}", f"    {line.reasons}", f"    host: {line.host}"]
    return "\n".join(texts), bool(lines) and not bad and len(undecided) <= allowed


def newest_report(reports: Path) -> Path | None:
    """The report file that ``latest`` points to now, resolved, so that it names its run."""
    path = reports / "latest" / "report.json"
    return path.resolve() if path.exists() else None


def one_run(run: int, commit: str, arguments: Sequence[str]) -> list[Line]:
    """Run the suite once and read what it reported; a report that was there before does not count."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    before = newest_report(ROOT / "reports")
    pytest = Path(sys.executable).parent / "pytest"
    command = [str(pytest), "experiments/", *arguments]
    try:
        code: int | str = subprocess.run(
            command, check=False, cwd=ROOT, stdin=subprocess.DEVNULL, timeout=RUN_WITHIN_S
        ).returncode
    except subprocess.TimeoutExpired:
        code = f"ended after {RUN_WITHIN_S:g} s"
    path = newest_report(ROOT / "reports")
    if path is None or path == before:
        return [without_report(run=run, date=date, commit=commit, why=f"pytest: {code}")]
    found = lines_of(json.loads(path.read_text(encoding="utf-8")), run=run, date=date, commit=commit)
    return found or [without_report(run=run, date=date, commit=commit, why=f"a report without drills; pytest: {code}")]


def commit_name() -> str:
    """Short name of the checkout's commit, with a mark when the work tree differs from it."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    return done.stdout.strip() or "unknown"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--file", type=Path, default=ROOT / "soak-demo.tsv")
    parser.add_argument("pytest_arguments", nargs="*")
    options = parser.parse_args(arguments)
    done = {line.run for line in read(options.file)}
    for run in range(1, options.runs + 1):
        if run in done:
            continue
        print(f"soak: run {run} of {options.runs}", flush=True)
        try:
            append(options.file, one_run(run, commit_name(), options.pytest_arguments))
        except KeyboardInterrupt:
            print("soak: interrupted; the same command resumes with this run")
            return 130
    text, met = summary(read(options.file))
    print(f"{text}\nsoak: lines in {options.file}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
