"""Errors that people read: where, what, the allowed values, a suggestion, what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake of the user or of the machine, told without a traceback.

    Args:
        where: File and key, option, node id or call, e.g. ``finchaos.toml: environments.payments``.
        what: One sentence that says what is wrong, with the value that was found.
        allowed: The values that would have been accepted, if they can be listed.
        got: The wrong name; with ``allowed`` it yields a "did you mean".
        cure: What to do next, if there is something to do.
    """

    def __init__(
        self,
        where: str,
        what: str,
        *,
        allowed: Iterable[str] = (),
        got: str | None = None,
        cure: str | None = None,
    ) -> None:
        self.where = where
        self.what = what
        self.allowed = tuple(allowed)
        self.suggestion = None if got is None else suggest(got, self.allowed)
        self.cure = cure
        super().__init__(self.render())

    def render(self) -> str:
        """The whole message, one fact a line."""
        lines = [f"{self.where}: {self.what}"]
        if self.suggestion is not None:
            lines.append(f"  did you mean {self.suggestion!r}?")
        if self.allowed:
            lines.append(f"  allowed: {', '.join(self.allowed)}")
        if self.cure is not None:
            lines.append(f"  next: {self.cure}")
        return "\n".join(lines)


def suggest(got: str, allowed: Iterable[str]) -> str | None:
    """The allowed name nearest to ``got``, or None when nothing is near."""
    near = difflib.get_close_matches(got, list(allowed), n=1, cutoff=0.6)
    return near[0] if near else None
