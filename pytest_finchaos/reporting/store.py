"""The run folder: ``report.json`` first, then all that is made from it, then the link ``latest``."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from pathlib import Path
from typing import Any

from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.result import RunResult
from pytest_finchaos.reporting import document as documents
from pytest_finchaos.reporting.facts import short_id
from pytest_finchaos.reporting.html import render_html
from pytest_finchaos.reporting.markdown import render_markdown
from pytest_finchaos.runtime.files import write_atomic

LATEST = "latest"
_SLUG_LENGTH = 60


def write_run(directory: Path, run: RunResult) -> None:
    """Write the run's files into its folder, each whole or not at all, and point ``latest`` to it.

    ``report.json`` is on disk before anything is rendered; HTML and Markdown are made from its parsed text, so that
    they cannot say more or other than it does.

    Args:
        directory: The folder of the run, e.g. ``reports/<run id>``; made when missing.
        run: The run.

    Raises:
        UserError: The folder cannot be written, or ``latest`` is something other than a link.
    """
    try:
        drills = directory / "drills"
        drills.mkdir(parents=True, exist_ok=True)
        text = documents.to_text(documents.to_document(run))
        write_atomic(directory / documents.FILE, _bytes(text))
        parsed = json.loads(text)
        for entry in parsed["drills"]:
            one = {"schema": parsed["schema"], "run": parsed["run"], "verdict": entry["verdict"], "drills": [entry]}
            write_atomic(drills / f"{slug(entry['id'])}.json", _bytes(documents.to_text(one)))
        write_made(directory, parsed)
        link_latest(directory)
    except OSError as error:
        raise UserError(
            str(error.filename or directory),
            f"the report cannot be written: {error.strerror or error}",
            cure="see --finchaos-reports",
        ) from None


def write_made(directory: Path, parsed: dict[str, Any]) -> None:
    """Write ``report.html`` and ``summary.md`` from a parsed ``report.json``."""
    run = documents.from_document(parsed, str(directory / documents.FILE))
    write_atomic(directory / "report.html", render_html(run))
    write_atomic(directory / "summary.md", render_markdown(run))


def link_latest(directory: Path) -> None:
    """Point ``latest`` beside ``directory`` to it, in one step and relative, so that the folder can be moved.

    Raises:
        UserError: ``latest`` is a file or folder of its own, which is not ours to remove.
        OSError: As the system says.
    """
    link = directory.parent / LATEST
    if link.exists() and not link.is_symlink():
        raise UserError(
            str(link),
            "is no link, so it is left as it is",
            cure="move it away, or name another folder with --finchaos-reports",
        )
    temporary = directory.parent / f".{LATEST}.{secrets.token_hex(6)}"
    temporary.symlink_to(directory.name)
    try:
        temporary.replace(link)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def slug(node_id: str) -> str:
    """A file name for a node id: readable, safe, and unique by a digest of the whole id."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", short_id(node_id)).strip("-")[:_SLUG_LENGTH].strip("-")
    digest = hashlib.blake2b(node_id.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{words or 'drill'}-{digest}"


def _bytes(text: str) -> bytes:
    r"""UTF-8; a lone surrogate becomes ``\udcxx``, which inside a JSON string is its escape: nothing is lost."""
    return text.encode("utf-8", "backslashreplace")
