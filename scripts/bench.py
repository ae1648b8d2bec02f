"""Run every file of benchmarks/ in turn; exit 1 when any failed or there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Entry point."""
    files = sorted(path for path in (ROOT / "benchmarks").glob("*.py") if not path.name.startswith("_"))
    failed = []
    for path in files:
        print(f"== {path.name}", flush=True)
        done = subprocess.run([sys.executable, path], check=False, cwd=ROOT, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            failed.append(path.name)
    print(f"bench: {len(files) - len(failed)} of {len(files)} ran{'; failed: ' + ', '.join(failed) if failed else ''}")
    return 0 if files and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
