"""The example of docs/howto/locustfile.md runs, and is as honest as it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.systems.nested import run_nested, tiny_configuration

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "locustfile.md"


def blocks() -> dict[str, str]:
    found = re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return dict(found)


def run(folder: Path, test: str, locustfile: str) -> tuple[int, str, dict[str, Any]]:
    (folder / "locustfile.py").write_text(locustfile)
    return run_nested(folder, test, tiny_configuration())


def test_the_example_is_green_and_says_what_it_did_not_check(tmp_path: Path) -> None:
    code, output, report = run(tmp_path, blocks()["test_locustfile.py"], blocks()["locustfile.py"])
    assert code == 0, output
    (drill,) = report["drills"]
    assert drill["verdict"] == "PASS"
    assert drill["profile"] == "locustfile.py (20 users)"
    assert 20 < drill["rate_per_s"] < 120  # twenty users, five requests a second each at most, as measured
    assert drill["traffic"]["ok"] == drill["traffic"]["sent"] > 100
    assert any("closed loop" in row["why"] for row in drill["not_checked"])


def test_the_same_drill_on_a_broken_store_is_red(tmp_path: Path) -> None:
    test = blocks()["test_locustfile.py"].replace("faults.Latency(system.edge", "faults.Down(system.edge")
    code, output, report = run(tmp_path, test.replace(", latency_ms=60", ""), blocks()["locustfile.py"])
    assert code == 1, output
    assert report["drills"][0]["verdict"] == "FAIL", output


def test_a_claim_about_latency_is_void(tmp_path: Path) -> None:
    test = blocks()["test_locustfile.py"]
    test = test.replace('spent("payment-success", during=slow, at_most_bad=0)', 'demonstrates("balance-latency")')
    reader = (
        blocks()["locustfile.py"]
        + '\n    @task\n    def look(self) -> None:\n        self.client.get("/b", name="balance")\n'
    )
    code, output, report = run(tmp_path, test, reader)
    assert code == 1, output
    assert report["drills"][0]["verdict"] == "INVALID", output
    assert "closed loop" in output


def test_mistakes_are_told_without_a_traceback(tmp_path: Path) -> None:
    for number, (old, new, told) in enumerate(
        (
            ('locustfile="locustfile.py"', 'locustfile="locustfle.py"', "no such file"),
            ('locustfile="locustfile.py"', '"card_pos_auth", locustfile="locustfile.py"', "either drill.load"),
            ("users=20", 'users=20, component="apy"', "did you mean 'api'"),
            ("users=20", "users=0", "1 to 10000"),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        test = blocks()["test_locustfile.py"].replace(old, new)
        code, output, _ = run(folder, test, blocks()["locustfile.py"])
        assert code == 1, output
        assert told in output
        assert "Traceback" not in output
