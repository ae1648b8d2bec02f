"""The reference pages say what the code says, and every setting has a meaning."""

from __future__ import annotations

import pytest
import reference


@pytest.mark.parametrize("name", reference.PAGES)
def test_a_reference_page_is_what_the_code_says_now(name: str) -> None:
    found = (reference.FOLDER / name).read_text(encoding="utf-8")
    assert found == reference.PAGES[name](), "run python scripts/reference.py"


@pytest.mark.parametrize("name", ["settings.md", "profiles.md", "options.md", "checks.md", "exit-codes.md"])
def test_every_row_has_a_meaning(name: str) -> None:
    rows = [
        line for line in (reference.FOLDER / name).read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    assert rows
    assert [row for row in rows if row.rstrip("| ").count("|") < row.count("|") - 1] == []


def test_every_public_name_is_told() -> None:
    import pytest_finchaos

    page = (reference.FOLDER / "python.md").read_text(encoding="utf-8")
    for name in (*pytest_finchaos.__all__, *(f"faults.{each}" for each in pytest_finchaos.faults.__all__[:-1])):
        assert f"`{name}" in page or name == "faults" or name == "faults.Fault", name
