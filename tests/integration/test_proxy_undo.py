"""Undo records carried out alone: what cannot be done is said, what is gone already counts as done."""

from __future__ import annotations

import socket

import pytest

from pytest_finchaos.proxy.undo import UndoFailed, carry_out
from pytest_finchaos.runtime.undo import UndoRecord


@pytest.mark.parametrize(
    ("kind", "arguments", "said"),
    [
        ("remove-toxic", {"url": "http://127.0.0.1:9"}, "malformed"),
        ("paint-it-black", {}, "nothing is known"),
    ],
)
def test_an_undo_that_cannot_be_done_says_so(kind: str, arguments: dict[str, str], said: str) -> None:
    with pytest.raises(UndoFailed, match=said):
        carry_out(UndoRecord("r-1", kind, arguments))


def test_a_server_that_does_not_answer_leaves_its_toxic_to_undo() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(UndoFailed, match="timed out"):
        carry_out(UndoRecord("r-1", "remove-toxic", {"url": _url(silent), "proxy": "a", "toxic": "b"}))


def _url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_on_this_machine_that_has_ended_has_forgotten_its_toxics_and_nothing_is_left_to_undo() -> None:
    carry_out(UndoRecord("r-1", "remove-toxic", {"url": "http://127.0.0.1:9", "proxy": "a", "toxic": "b"}))
