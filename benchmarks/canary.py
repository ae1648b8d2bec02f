"""Does every release end as it must, and what does a bad one cost before it is gone?

``python benchmarks/canary.py [TIMES]`` runs the release drills of the demo suite TIMES times (10), each time with
another seed, and the drill that releases the same version again twice as often. It prints for each drill how often it
ended as expected, and the figures of exposure. Exit status 1 when one ended otherwise; a release of the same version
that is rolled back is a false alarm. There is no peer: no other tool here judges a release by its ledger.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DRILLS = "experiments/test_releases.py"
AGAIN = "test_the_same_version_again_is_promoted"
EXPECTED = {
    "test_a_rounding_defect_is_rolled_back_by_the_ledger": "rolled back",
    "test_a_version_that_throws_errors_is_rolled_back": "rolled back",
    "test_a_good_version_is_promoted": "promoted",
    AGAIN: "promoted",
    "test_a_slow_dependency_of_both_versions_is_not_blamed_on_the_new_one": "promoted",
    "test_thin_traffic_decides_nothing_and_the_old_version_stays": "undecided",
}


def run(seed: int, folder: Path, only: str = "") -> list[dict[str, Any]]:
    """The drills of one run of the suite, as its report holds them."""
    words = [sys.executable, "-m", "pytest", DRILLS, "-q", f"--finchaos-seed={seed}", "-p", "no:cacheprovider"]
    words += [f"--finchaos-reports={folder}", *(["-k", only] if only else [])]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    report = folder / "latest" / "report.json"
    if not report.exists():
        raise SystemExit(done.stdout + done.stderr)
    drills: list[dict[str, Any]] = json.loads(report.read_text())["drills"]
    return drills


def ms_between(times: dict[str, Any], first: str, last: str) -> float | None:
    """Milliseconds between two instants of a release."""
    start, end = times[f"{first}_ns"], times[f"{last}_ns"]
    return None if start is None or end is None else (end - start) / 1e6


def spread(values: list[float], form: str) -> str:
    """Smallest, median and largest."""
    if not values:
        return "–"
    return " / ".join(format(each, form) for each in (min(values), statistics.median(values), max(values)))


def row(name: str, releases: list[tuple[dict[str, Any], str]]) -> str:
    """One drill over all runs."""
    expected = EXPECTED[name]
    right = sum(one["outcome"] == expected and verdict == "PASS" for one, verdict in releases)
    exposed = [one["exposed"] for one, _ in releases]
    known = [one["times"] for one, _ in releases]
    lost = sum(one["in_flight_lost"] for one, _ in releases)
    amounts = [each["amount_minor"].get("EUR", 0) // 100 for each in exposed]
    counts = {name: spread([each[name] for each in exposed], ".0f") for name in ("payments", "failed")}
    spans = [
        f"{first}→{last} {spread(filled(ms_between(each, first, last) for each in known), '.0f')} ms"
        for first, last in (("t0", "t1"), ("t1", "t2"), ("t2", "t4"))
    ]
    otherwise = [
        f"  OTHERWISE: {verdict} {one['outcome']}: {one['text'][:200]}"
        for one, verdict in releases
        if one["outcome"] != expected or verdict != "PASS"
    ]
    lines = [
        f"{name}: {right} of {len(releases)} {expected}",
        f"  exposed: payments {counts['payments']}, failed {counts['failed']}, EUR {spread(amounts, '.0f')}",
        f"  {', '.join(spans)}; lost in flight {lost}",
        *otherwise,
    ]
    return "\n".join(lines)


def filled(values: Any) -> list[float]:
    """Those that are known."""
    return [value for value in values if value is not None]


def main() -> int:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    found: dict[str, list[tuple[dict[str, Any], str]]] = defaultdict(list)
    missing = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(2 * times):
            for drill in run(1000 + number, Path(folder) / str(number), AGAIN if number >= times else ""):
                name = drill["id"].rpartition("::")[2]
                found[name] += [(one, drill["verdict"]) for one in drill["releases"]]
                if not drill["releases"]:
                    missing += 1
                    print(f"run {number}: {name}: no release: {drill['reasons']}", flush=True)
            print(f"run {number + 1} of {2 * times} done", flush=True)
    for name in EXPECTED:
        print(row(name, found[name]))
    wrong = sum(
        one["outcome"] != EXPECTED[name] or verdict != "PASS" for name, ones in found.items() for one, verdict in ones
    )
    false_alarms = sum(one["outcome"] == "rolled back" for one, _ in found[AGAIN])
    print(f"false rollbacks of the same version: {false_alarms} of {len(found[AGAIN])}")
    return 1 if wrong or missing else 0


if __name__ == "__main__":
    sys.exit(main())
