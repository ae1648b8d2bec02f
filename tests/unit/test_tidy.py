"""The house rules hold, and each of them can fail."""

from __future__ import annotations

from pathlib import Path

import pytest
import tidy

PRODUCT = "pytest_finchaos/drill/example.py"
DOC = '"""What it means."""\n'

KNOWN_BAD = [
    ("module-length", PRODUCT, "x = 1\n" * 401),
    ("function-length", PRODUCT, f"def _long() -> None:\n{'    x = 1' + chr(10)}" + "    x = 2\n" * 59),
    ("clock", PRODUCT, "import time\ntime.sleep(1)\n"),
    ("clock", PRODUCT, "from time import monotonic_ns as now\nstarted = now()\n"),
    ("clock", PRODUCT, "from datetime import datetime\ndatetime.now()\n"),
    ("clock", PRODUCT, "import time\nfrom dataclasses import field\nat = field(default_factory=time.monotonic)\n"),
    ("clock", "tests/unit/test_example.py", "import time as t\nt.sleep(0.1)\n"),
    ("print", PRODUCT, "print('here')\n"),
    ("environ-write", PRODUCT, "import os\nos.environ['A'] = 'b'\n"),
    ("environ-write", PRODUCT, "from os import environ\ndel environ['A']\n"),
    ("environ-write", PRODUCT, "import os\nos.environ.setdefault('A', 'b')\n"),
    ("shell", PRODUCT, "import subprocess\nsubprocess.run('ls', shell=True)\n"),
    ("shell", PRODUCT, "import os\nos.system('ls')\n"),
    ("broad-except", PRODUCT, "try:\n    x = 1\nexcept:\n    pass\n"),
    ("broad-except", PRODUCT, "try:\n    x = 1\nexcept Exception:\n    pass\n"),
    ("broad-except", PRODUCT, "try:\n    x = 1\nexcept (KeyError, Exception):  # noqa: BLE001\n    pass\n"),
    ("money-float", PRODUCT, "x = float(row['amount_minor'])\n"),
    ("money-float", PRODUCT, "x = float(payment.amount)\n"),
    ("money-float", PRODUCT, "x = payment.amount_minor / 100\n"),
    ("money-float", PRODUCT, "def _book(balance: float) -> None: ...\n"),
    ("seeded-random", PRODUCT, "import random\nx = random.choice([1, 2])\n"),
    ("seeded-random", PRODUCT, "from random import Random\nx = Random()\n"),
    ("seeded-random", PRODUCT, "import numpy as np\nx = np.random.normal(3)\n"),
    ("docstrings", PRODUCT, "def spent() -> None: ...\n"),
    ("docstrings", "pytest_finchaos/model/example.py", "class Edge: ...\n"),
    ("units", PRODUCT, "def _wait(timeout: float) -> None: ...\n"),
    ("units", PRODUCT, "class _Spec:\n    retry_delay: int | None = None\n"),
]

KNOWN_GOOD = [
    ("module-length", PRODUCT, "x = 1\n" * 400),
    ("function-length", PRODUCT, "def _long() -> None:\n" + "    x = 2\n" * 59),
    ("clock", "pytest_finchaos/runtime/clock.py", "import time\ntime.sleep(1)\n"),
    ("clock", PRODUCT, "def _wait(time: object) -> None:\n    clock.sleep_s(1)\n"),
    ("print", "scripts/example.py", "print('here')\n"),
    ("environ-write", PRODUCT, "import os\nx = os.environ['A']\ny = {**os.environ, 'A': 'b'}\n"),
    ("shell", PRODUCT, "import subprocess\nsubprocess.run(['ls'], shell=False)\n"),
    (
        "broad-except",
        PRODUCT,
        "try:\n    x = 1\nexcept Exception:  # noqa: BLE001 - a checker may raise anything\n    pass\n",
    ),
    ("broad-except", PRODUCT, "try:\n    x = 1\nexcept KeyError:\n    pass\n"),
    ("broad-except", PRODUCT, "try:\n    x = 1\nexcept BaseException:\n    x = 2\n    raise\n"),
    ("money-float", PRODUCT, "x = float(row['balance_p95_ms'])\ny = amount_minor // 100\n"),
    ("money-float", PRODUCT, "def _book(amount_minor: int, balance_ms: float) -> None: ...\n"),
    ("seeded-random", PRODUCT, "import random\nx = random.Random('seed').random()\n"),
    ("docstrings", PRODUCT, f"def spent() -> None:\n    {DOC}\n\ndef _hidden() -> None: ...\n"),
    ("docstrings", "pytest_finchaos/load/example.py", "def render() -> None: ...\n"),
    ("units", PRODUCT, "def _wait(timeout_s: float, latency: Latency) -> None: ...\n"),
]


def rules_hit(path: str, text: str) -> set[str]:
    return {line.split(": ")[1] for line in tidy.check_module(path, text)}


def test_the_checkout_is_tidy() -> None:
    problems = tidy.check_tree(tidy.ROOT)

    assert not problems, f"{len(problems)} to tidy:\n" + "\n".join(problems)


@pytest.mark.parametrize(("rule", "path", "text"), KNOWN_BAD, ids=range(len(KNOWN_BAD)))
def test_a_known_bad_module_is_found(rule: str, path: str, text: str) -> None:
    assert rule in rules_hit(path, text)


@pytest.mark.parametrize(("rule", "path", "text"), KNOWN_GOOD, ids=range(len(KNOWN_GOOD)))
def test_a_known_good_module_is_left_alone(rule: str, path: str, text: str) -> None:
    assert rule not in rules_hit(path, text)


def test_every_rule_has_a_known_bad_and_a_known_good_case() -> None:
    assert {rule for rule, _, _ in KNOWN_BAD} == {rule for rule, _, _ in KNOWN_GOOD} == set(tidy.RULES)


def test_a_banned_call_is_reported_with_its_replacement() -> None:
    (problem,) = tidy.check_module(PRODUCT, "import time\n\ntime.sleep(1)\n")

    assert problem.startswith(f"{PRODUCT}:3: clock: time.sleep: use Clock.sleep_s")


@pytest.mark.parametrize(
    "text",
    ['command = "payments.gateway"', "from pytest_finchaos.payments import x", "# PAYMENTS_DEFECTS", '"ledger-db"'],
)
def test_the_reference_system_named_in_the_product_is_found(text: str) -> None:
    assert tidy.reference_names(PRODUCT, f"\n{text}\n")[0].startswith(f"{PRODUCT}:2: reference-system")


def test_other_words_do_not_name_the_reference_system() -> None:
    assert not tidy.reference_names(PRODUCT, "payments = environment.component('gateway')  # payment-success\n")


def test_a_dependency_without_a_reason_is_found() -> None:
    text = (
        '[project]\ndependencies = [\n    "good>=1",  # because\n    "bad>=2",\n]\n[tool.x]\npaths = [\n    "free"\n]\n'
    )

    (problem,) = tidy.uncommented_dependencies(text)

    assert '"bad>=2"' in problem


def test_a_folder_missing_from_the_architecture_page_is_found(tmp_path: Path) -> None:
    for name in ("known", "unknown", "known/inner"):
        folder = tmp_path / "pytest_finchaos" / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
    (tmp_path / "ARCHITECTURE.md").write_text("Rooms: `known/`.", encoding="utf-8")

    problems = tidy.unnamed_folders(tmp_path)

    assert [problem.split(":")[0] for problem in problems] == ["pytest_finchaos/known/inner", "pytest_finchaos/unknown"]
