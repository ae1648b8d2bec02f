"""Switches for defects that the services can be given on purpose, so that tests can see whether they are found."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

KEY_IGNORED = "key-ignored"
ACK_BEFORE_COMMIT = "ack-before-commit"
FLOAT_ROUNDING = "float-rounding"
ERRORS = "errors"
SETTLEMENT_SKIPS = "settlement-skips"

GATEWAY_DEFECTS: Mapping[str, str] = {
    KEY_IGNORED: "every request is a new payment, whatever its Idempotency-Key",
    ACK_BEFORE_COMMIT: "answers 201 first and writes to the ledger later",
    FLOAT_ROUNDING: "books amounts that went through a floating-point conversion",
    ERRORS: "answers every third payment with status 500 and does nothing",
}
SETTLEMENT_DEFECTS: Mapping[str, str] = {
    SETTLEMENT_SKIPS: "leaves about one payment in seven out of the settlement file",
}
FRAUD_DEFECTS: Mapping[str, str] = {}

CHOICE = "PAYMENTS_DEFECTS"
PERMISSION = "PAYMENTS_ALLOW_DEFECTS"


class DefectError(ValueError):
    """A choice of defects that is refused, with the reason and the cure."""


def chosen_defects(service: str, known: Mapping[str, str], environ: Mapping[str, str]) -> tuple[str, ...]:
    """The defects that ``PAYMENTS_DEFECTS`` names, sorted.

    Args:
        service: Who asks, for the message.
        known: Defects that the service has.
        environ: Environment variables.

    Raises:
        DefectError: For an unknown name, or for any defect where ``PAYMENTS_ALLOW_DEFECTS`` is not ``1``.
    """
    names = sorted({name.strip() for name in environ.get(CHOICE, "").split(",")} - {""})
    for name in names:
        if name not in known:
            allowed = ", ".join(known) or "none"
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise DefectError(f"{CHOICE}: the {service} has no defect {name!r} (it has: {allowed}){hint}")
    if names and environ.get(PERMISSION) != "1":
        raise DefectError(f"{CHOICE}={','.join(names)} is refused: set {PERMISSION}=1 where defects are wanted")
    return tuple(names)
