"""Who this process is: instance, version, build and defects, shown on every answer and in readiness."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from .defects import DefectError, chosen_defects

WRONG_USE = 2


@dataclass(frozen=True, slots=True)
class Identity:
    """What distinguishes this process from any other.

    Args:
        service: ``gateway``, ``fraud`` or ``settlement``.
        instance: Name that the harness gave, else service and pid.
        pid: Process id.
        version: Version that the harness gave.
        build: Hex digest of the files that this process was started from.
        defects: Defects that are switched on.
    """

    service: str
    instance: str
    pid: int
    version: str
    build: str
    defects: tuple[str, ...]

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Headers that every answer carries."""
        return [
            (b"x-instance", self.instance.encode()),
            (b"x-version", self.version.encode()),
            (b"x-app-digest", self.build.encode()),
        ]

    def as_plain(self) -> dict[str, object]:
        """The identity as JSON-able data, for readiness."""
        return {
            "service": self.service,
            "instance": self.instance,
            "pid": self.pid,
            "version": self.version,
            "build": self.build,
            "defects": list(self.defects),
        }


def identity_of(service: str, known: Mapping[str, str], environ: Mapping[str, str]) -> Identity:
    """The identity of this process.

    Args:
        service: Name of the service.
        known: Defects that the service has, name to description.
        environ: Environment variables.

    Raises:
        DefectError: For a defect that does not exist or is not allowed here.
    """
    pid = os.getpid()
    return Identity(
        service=service,
        instance=environ.get("FINCHAOS_INSTANCE") or f"{service}-{pid}",
        pid=pid,
        version=environ.get("FINCHAOS_VERSION") or "1.0",
        build=environ.get("FINCHAOS_BUILD") or "unknown",
        defects=chosen_defects(service, known, environ),
    )


def identity_or_exit(service: str, known: Mapping[str, str]) -> Identity:
    """The identity of this process; a refused defect ends it with exit code 2 and a message. Announces defects."""
    try:
        identity = identity_of(service, known, os.environ)
    except DefectError as error:
        sys.stderr.write(f"{service}: {error}\n")
        raise SystemExit(WRONG_USE) from None
    for name in identity.defects:
        sys.stderr.write(f"{service}: !!! DEFECT SWITCHED ON: {name}: {known[name]} !!!\n")
    sys.stderr.flush()
    return identity
