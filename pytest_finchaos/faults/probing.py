"""Probes through an edge, repeated until they are proof: seen, not seen, or not to be decided."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pytest_finchaos.faults.traffic import Sampler
from pytest_finchaos.faults.wire import Exchange, How, Http, Postgres, Speaker, Wire, connect
from pytest_finchaos.model.topology import Edge
from pytest_finchaos.runtime.clock import NS_PER_MS, NS_PER_S, Clock

MISS = 1e-6  # the chance that a fault on a share of the connections escapes all probes
MOST_PROBES = 200
CONNECT_WITHIN_S = 2.0
PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Observation:
    """What was found out: ``seen`` is None when it could not be found out, and ``evidence`` says why."""

    seen: bool | None
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """One probe: whether it saw the fault (None: it could not run), and what it saw."""

    seen: bool | None
    text: str


class Effect(Protocol):
    """How a kind of fault shows on an edge."""

    unable: str
    rounds: int

    def prepare(self) -> None:
        """Before the fault: baselines, and a pooled connection; sets `unable` when it cannot be probed."""

    def fresh(self) -> Trial:
        """A probe on a new connection."""

    def pooled(self) -> Trial | None:
        """A probe on the connection from before the fault; None when there is nothing to say."""

    def close(self) -> None:
        """Close what was kept open."""


class Reach:
    """A way through an edge in the protocol of its target; the harness's own sockets are made known to the sampler.

    Args:
        edge: The edge.
        speaker: Its protocol, or None when bytes cannot be made sense of.
        sampler: Counts everybody else's bytes.
        clock: The clock.
    """

    def __init__(self, edge: Edge, speaker: Speaker | None, sampler: Sampler, clock: Clock) -> None:
        self.edge = edge
        self.speaker = speaker
        self.clock = clock
        self._sampler = sampler

    def open(self, within_s: float = CONNECT_WITHIN_S) -> Wire | Exchange:
        """A connection, or how the attempt ended."""
        wire = connect(self.edge.listen, within_s, self.clock)
        if isinstance(wire, Wire):
            self._sampler.exclude(wire.local_port)
        return wire

    def fresh(self, *talks: Callable[[Wire], None], within_s: float) -> Exchange:
        """The last of ``talks`` on a new connection; an earlier one that is not answered is returned instead."""
        wire = self.open()
        if isinstance(wire, Exchange):
            return wire
        try:
            for talk in talks[:-1]:
                done = wire.exchange(talk, within_s)
                if done.how is not How.ANSWERED:
                    return done
            return wire.exchange(talks[-1], within_s)
        finally:
            wire.close()

    def session(self, speaker: Speaker, within_s: float = CONNECT_WITHIN_S) -> Wire | Exchange:
        """An open session, as a pool keeps them, or how the attempt ended."""
        wire = self.open(within_s)
        if isinstance(wire, Exchange):
            return wire
        done = wire.exchange(speaker.begin, within_s)
        if done.how is How.ANSWERED:
            return wire
        wire.close()
        return done


def speaker_of(protocol: str, address: str, path: str, database_url: Callable[[], str]) -> Speaker | None:
    """Who speaks ``protocol``: ``http``, ``postgres``, or nobody."""
    if protocol == "http":
        return Http(address, path)
    if protocol == "postgres":
        return Postgres(database_url())
    return None


def said(exchange: Exchange) -> str:
    """An exchange in words."""
    detail = f" ({exchange.detail})" if exchange.detail else ""
    return f"{exchange.how.value} after {exchange.took_ns / NS_PER_MS:.1f} ms{detail}"


def probes_for(toxicity: float) -> int:
    """How many connections must be tried so that a fault on this share escapes with a chance of at most `MISS`.

    Solves (1 − toxicity)^n ≤ MISS.
    """
    return 1 if toxicity >= 1 else math.ceil(math.log(MISS) / math.log1p(-toxicity))


def prove_seen(effect: Effect, toxicity: float, within_s: float, clock: Clock) -> Observation:
    """Whether the effect shows.

    Touching every connection it must show on every new one tried and on the pooled one; touching a share, on one
    of as many new ones as it takes.
    """
    if effect.unable:
        return Observation(None, (f"effect not checked: {effect.unable}",))
    until_ns = clock.now_ns() + round(within_s * NS_PER_S)
    if toxicity < 1:
        return _seen_once(effect, toxicity, until_ns, clock)
    evidence: list[str] = []
    undecided = ""
    done_count = 0
    while done_count < effect.rounds:
        trial = effect.fresh()
        if trial.seen is False:
            return Observation(False, (*evidence, f"new connection: {trial.text}"))
        late = clock.now_ns() >= until_ns
        if trial.seen:
            done_count += 1
            evidence = [f"new connection: {trial.text} (probe {done_count})"]
            undecided = ""
        else:
            undecided = f"new connection: {trial.text}"
            clock.sleep_s(PAUSE_S)
        if late:
            break
    if done_count == 0:
        return Observation(None, (f"effect not checked: {undecided}",))
    pooled = effect.pooled()
    if pooled is None:
        return Observation(True, tuple(evidence))
    return Observation(pooled.seen, (*evidence, f"pooled connection: {pooled.text}"))


def _seen_once(effect: Effect, toxicity: float, until_ns: int, clock: Clock) -> Observation:
    needed = probes_for(toxicity)
    if needed > MOST_PROBES:
        text = f"effect not checked: at {toxicity:g} of the connections {needed} probes would be needed"
        return Observation(None, (f"{text}, at most {MOST_PROBES} are made",))
    last = ""
    clean_count = 0
    while clean_count < needed:
        trial = effect.fresh()
        if trial.seen:
            return Observation(True, (f"new connection {clean_count + 1}: {trial.text}",))
        last = trial.text
        if trial.seen is False:
            clean_count += 1
        if clock.now_ns() >= until_ns and clean_count < needed:
            text = f"effect not checked: {clean_count} of {needed} probes fitted into the time, none saw it"
            return Observation(None, (f"{text}; last: {last}",))
    return Observation(False, (f"none of {needed} new connections showed it; last: {last}",))


def prove_unseen(effect: Effect, toxicity: float, within_s: float, clock: Clock) -> Observation:
    """Whether the effect has stopped: the same probe, until it no longer sees it.

    Touching every connection, one new connection without it is proof; touching a share, as many in a row as it takes.
    """
    if effect.unable:
        return Observation(None, (f"absence not checked: {effect.unable}",))
    needed = probes_for(toxicity)
    if needed > MOST_PROBES:
        return Observation(None, (f"absence not checked: {needed} probes would be needed, at most {MOST_PROBES}",))
    until_ns = clock.now_ns() + round(within_s * NS_PER_S)
    clean_count = 0
    while True:
        trial = effect.fresh()
        clean_count = clean_count + 1 if trial.seen is False else 0
        if clean_count >= needed:
            many = f" ({needed} in a row)" if needed > 1 else ""
            return Observation(False, (f"new connection{many}: {trial.text}",))
        if clock.now_ns() >= until_ns:
            word = "still seen" if trial.seen else "absence not proven"
            return Observation(True if trial.seen else None, (f"{word} after {within_s:g} s: {trial.text}",))
        if trial.seen is not False:
            clock.sleep_s(PAUSE_S)
