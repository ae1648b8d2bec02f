"""Run every static check, also after one failed; exit 1 when any did."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHECKS = {
    "format": ["ruff", "format", "--check", "."],
    "lint": ["ruff", "check", "."],
    "types": ["mypy"],
    "import contracts": ["lint-imports"],
    "dead code": ["vulture"],
    "tidy": ["pytest", "-q", "tests/unit/test_tidy.py"],
}


def main() -> int:
    """Entry point."""
    failed = []
    for name, (tool, *arguments) in CHECKS.items():
        print(f"== {name}: {tool} {' '.join(arguments)}", flush=True)
        started_s = time.monotonic()
        path = Path(sys.executable).parent / tool  # the same .venv, wherever PATH points
        code = subprocess.run([path, *arguments], check=False, cwd=ROOT, stdin=subprocess.DEVNULL).returncode
        print(
            f"== {name}: {'ok' if code == 0 else f'FAILED ({code})'} in {time.monotonic() - started_s:.1f} s",
            flush=True,
        )
        if code != 0:
            failed.append(name)
    print(
        f"check: {len(CHECKS) - len(failed)} passed, {len(failed)} failed{': ' + ', '.join(failed) if failed else ''}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
