"""Phases of a drill, marked on one clock."""

from __future__ import annotations

from pytest_finchaos.model.timeline import Phase, Span
from pytest_finchaos.runtime.clock import Clock


class PhaseLog:
    """The sequence of phases; each begins where the one before ends.

    Args:
        clock: The clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._done: list[Span] = []
        self._open: tuple[Phase, int] | None = None

    def begin(self, phase: Phase) -> int:
        """End the phase that is open and begin ``phase``, unless it is the same; returns the instant in ns."""
        now = self._clock.now_ns()
        if self._open is not None and self._open[0] is phase:
            return now
        self.end(now)
        self._open = (phase, now)
        return now

    @property
    def current(self) -> Phase | None:
        """The phase that is open, or None."""
        return None if self._open is None else self._open[0]

    def end(self, now_ns: int | None = None) -> None:
        """End the phase that is open, if one is."""
        if self._open is not None:
            phase, start = self._open
            self._done.append(Span(phase, start, self._clock.now_ns() if now_ns is None else now_ns))
            self._open = None

    def spans(self) -> tuple[Span, ...]:
        """The phases that have ended, and the open one up to now."""
        if self._open is None:
            return tuple(self._done)
        phase, start = self._open
        return (*self._done, Span(phase, start, self._clock.now_ns()))

    def of(self, phase: Phase) -> tuple[Span, ...]:
        """The spans of one phase."""
        return tuple(span for span in self.spans() if span.phase is phase)
