"""How each kind of network fault shows: bounds that hold on a noisy host, against a baseline from before the fault."""

from __future__ import annotations

from pytest_finchaos.faults.network import Bandwidth, Down, Latency, LimitData, ResetPeer, Slicer, SlowClose, Timeout
from pytest_finchaos.faults.probing import Effect, Reach, Trial, said
from pytest_finchaos.faults.wire import Exchange, How, Speaker, Wire
from pytest_finchaos.runtime.clock import NS_PER_MS

BASELINES = 3
PATIENCE_S = 2.0
LOOSE_MS = 1.0  # a timer's tick
NO_SPEAKER = "probes speak http and postgres, and this target speaks neither"


class SpokenEffect:
    """Base of the effects that need an exchange with the target.

    Args:
        reach: The way through the edge.
        wants_pooled: True when a connection from before the fault is to be probed too.
    """

    rounds = 2

    def __init__(self, reach: Reach, *, wants_pooled: bool) -> None:
        self.reach = reach
        self.unable = "" if reach.speaker is not None else NO_SPEAKER
        self.baseline_ms: list[float] = []
        self._wants_pooled = wants_pooled
        self._kept: Wire | None = None

    @property
    def speaker(self) -> Speaker:
        """The target's protocol."""
        assert self.reach.speaker is not None, "guarded by `unable`"
        return self.reach.speaker

    def prepare(self) -> None:
        """Take the baseline and open the pooled connection."""
        if self.unable:
            return
        for _ in range(BASELINES):
            done = self.baseline()
            if done.how is not How.ANSWERED:
                self.unable = f"before the fault the probe already got: {said(done)}"
                return
            self.baseline_ms.append(done.took_ns / NS_PER_MS)
        if self._wants_pooled:
            kept = self.reach.session(self.speaker)
            if isinstance(kept, Exchange):
                self.unable = f"no pooled connection could be opened before the fault: {said(kept)}"
            elif kept.exchange(self.speaker.again, PATIENCE_S).how in (How.ENDED, How.RESET):
                kept.close()  # the target closes after each answer: nobody pools connections to it
            else:
                self._kept = kept

    def baseline(self) -> Exchange:
        """One exchange before the fault."""
        return self.reach.fresh(self.speaker.greet, within_s=PATIENCE_S)

    def pooled(self) -> Trial | None:
        """A probe on the connection from before the fault."""
        return None if self._kept is None else self.judge(self.on_pooled(self._kept), pooled=True)

    def on_pooled(self, wire: Wire) -> Exchange:
        """What is done on the pooled connection."""
        return wire.exchange(self.speaker.again, self.within_s)

    @property
    def within_s(self) -> float:
        """Deadline of one exchange under the fault."""
        return PATIENCE_S

    def fresh(self) -> Trial:
        """A probe on a new connection."""
        return self.judge(self.reach.fresh(self.speaker.greet, within_s=self.within_s), pooled=False)

    def judge(self, done: Exchange, *, pooled: bool) -> Trial:
        """What an exchange says about the fault."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the pooled connection."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def slower(self, done: Exchange, least_ms: float) -> Trial:
        """Judge by time: ``least_ms`` is what the fault adds at the very least.

        Below it the fault did not act, whatever the host does. Above it, it acted when the baseline lies clearly
        lower: by 70 % of what it adds over the fastest baseline, and by 30 % over the slowest.
        """
        took_ms = done.took_ns / NS_PER_MS
        text = f"{took_ms:.1f} ms, at least {least_ms:.1f} ms under the fault, {min(self.baseline_ms):.1f} ms before it"
        if took_ms < least_ms - LOOSE_MS:
            return Trial(False, text)
        clear_ms = max(min(self.baseline_ms) + 0.7 * least_ms, max(self.baseline_ms) + 0.3 * least_ms)
        if took_ms >= clear_ms:
            return Trial(True, text)
        return Trial(None, f"{text}: too near to tell")


class LatencyEffect(SpokenEffect):
    """Answers take at least latency − jitter; with a jitter that leaves little of that, they do so on average."""

    def __init__(self, reach: Reach, fault: Latency) -> None:
        super().__init__(reach, wants_pooled=fault.toxicity == 1)
        self._fault = fault
        self._least_ms = float(fault.latency_ms - fault.jitter_ms)
        self._by_mean = self._least_ms < fault.latency_ms / 4
        if self._by_mean:
            # Mean of max(0, latency + U[−jitter, jitter)), and 16 draws of it: 60 % of it is three deviations away.
            mean_ms = max(float(fault.latency_ms), (fault.latency_ms + fault.jitter_ms) ** 2 / (4 * fault.jitter_ms))
            self._least_ms = 0.4 * mean_ms
        self.rounds = 1 if self._by_mean else max(1, min(5, int(2000 / (fault.latency_ms + fault.jitter_ms))))

    @property
    def within_s(self) -> float:
        """The longest delay, and patience."""
        return PATIENCE_S + (self._fault.latency_ms + self._fault.jitter_ms) / 1000

    def fresh(self) -> Trial:
        """One exchange, or the mean of 16 on one connection."""
        if not self._by_mean:
            return super().fresh()
        kept = self.reach.session(self.speaker, self.within_s)
        if isinstance(kept, Exchange):
            return Trial(None, said(kept))
        try:
            return self.judge(self._mean(kept), pooled=False)
        finally:
            kept.close()

    def on_pooled(self, wire: Wire) -> Exchange:
        """As on a new connection."""
        return self._mean(wire) if self._by_mean else super().on_pooled(wire)

    def _mean(self, wire: Wire) -> Exchange:
        done = [wire.exchange(self.speaker.again, self.within_s) for _ in range(16)]
        failed = [each for each in done if each.how is not How.ANSWERED]
        return failed[0] if failed else Exchange(How.ANSWERED, sum(each.took_ns for each in done) // len(done))

    def judge(self, done: Exchange, *, pooled: bool) -> Trial:  # noqa: ARG002 - the same on both
        """By time."""
        return Trial(None, said(done)) if done.how is not How.ANSWERED else self.slower(done, self._least_ms)


class TimeoutEffect(SpokenEffect):
    """No answer comes, on a new and on a pooled connection."""

    def __init__(self, reach: Reach, fault: Timeout) -> None:
        super().__init__(reach, wants_pooled=fault.toxicity == 1)

    @property
    def within_s(self) -> float:
        """Ten times what an answer took before, within bounds."""
        return min(PATIENCE_S, max(0.4, 10 * max(self.baseline_ms, default=0.0) / 1000))

    def judge(self, done: Exchange, *, pooled: bool) -> Trial:  # noqa: ARG002 - the same on both
        """An answer refutes it; silence, or the end that follows it, shows it."""
        if done.how is How.ANSWERED:
            return Trial(False, said(done))
        return Trial(True if done.how in (How.SILENT, How.ENDED) else None, said(done))


class ResetEffect(SpokenEffect):
    """A new connection is reset, a pooled one ends: the original server sends it a FIN."""

    def __init__(self, reach: Reach, fault: ResetPeer) -> None:
        super().__init__(reach, wants_pooled=fault.toxicity == 1)
        self._timeout_ms = fault.timeout_ms

    @property
    def within_s(self) -> float:
        """The time until the reset, and patience."""
        return PATIENCE_S + self._timeout_ms / 1000

    def judge(self, done: Exchange, *, pooled: bool) -> Trial:
        """A reset shows it; an answer refutes it."""
        if done.how is How.RESET or (pooled and done.how is How.ENDED):
            return Trial(True, said(done))
        return Trial(False if done.how in (How.ANSWERED, How.SILENT, How.ENDED) else None, said(done))


class TransferEffect(SpokenEffect):
    """Bytes take at least as long as the fault says, times 0.8: both servers let the first slice go early."""

    expected_s = 0.3
    most_bytes = 4_000_000

    def __init__(self, reach: Reach, fault: Bandwidth | Slicer) -> None:
        super().__init__(reach, wants_pooled=fault.toxicity == 1)
        self._fault = fault
        if isinstance(fault, Bandwidth):
            self._ms_per_byte = 1 / fault.rate_kb_per_s
        else:
            self._ms_per_byte = fault.delay_us / 1000 / (fault.average_size_bytes + fault.size_variation_bytes)
            if fault.delay_us == 0:
                self.unable = self.unable or "without a delay between pieces a receiver cannot tell how bytes were cut"
        wanted = self.expected_s * 1000 / self._ms_per_byte if self._ms_per_byte else 0
        self._count = max(1, min(self.most_bytes, round(wanted)))

    @property
    def within_s(self) -> float:
        """Three times what it should take, and patience."""
        return PATIENCE_S + 3 * self._count * self._ms_per_byte / 1000

    def _talk(self, wire: Wire) -> None:
        if self._fault.stream == "upstream":
            self.speaker.push(wire, self._count)
        else:
            self.speaker.pull(wire, self._count)

    def baseline(self) -> Exchange:
        """The transfer before the fault."""
        return self.reach.fresh(self.speaker.begin, self._talk, within_s=PATIENCE_S)

    def on_pooled(self, wire: Wire) -> Exchange:
        """The transfer on the pooled connection."""
        return wire.exchange(self._talk, self.within_s)

    def fresh(self) -> Trial:
        """The transfer on a new connection."""
        return self.judge(self.reach.fresh(self.speaker.begin, self._talk, within_s=self.within_s), pooled=False)

    def judge(self, done: Exchange, *, pooled: bool) -> Trial:  # noqa: ARG002 - the same on both
        """By time per byte."""
        if done.how is How.SILENT:
            return Trial(None, f"{done.bytes_in} bytes came, then {said(done)}")
        if done.how is not How.ANSWERED:
            return Trial(None, said(done))
        carried = done.bytes_out if self._fault.stream == "upstream" else done.bytes_in
        trial = self.slower(done, 0.8 * carried * self._ms_per_byte)
        return Trial(trial.seen, f"{carried} bytes in {trial.text}")


class SlowCloseEffect(SpokenEffect):
    """The end of a connection arrives late."""

    def __init__(self, reach: Reach, fault: SlowClose) -> None:
        super().__init__(reach, wants_pooled=fault.toxicity == 1)
        self._fault = fault

    @property
    def within_s(self) -> float:
        """The delay, and patience."""
        return PATIENCE_S + self._fault.delay_ms / 1000

    def _talk(self, wire: Wire) -> None:
        if self._fault.stream == "upstream":
            wire.shut()
        else:
            self.speaker.part(wire)
        wire.to_end()

    def baseline(self) -> Exchange:
        """A close before the fault."""
        return self.reach.fresh(self.speaker.begin, self._talk, within_s=PATIENCE_S)

    def on_pooled(self, wire: Wire) -> Exchange:
        """Close the pooled connection."""
        return wire.exchange(self._talk, self.within_s)

    def fresh(self) -> Trial:
        """Close a new connection."""
        return self.judge(self.reach.fresh(self.speaker.begin, self._talk, within_s=self.within_s), pooled=False)

    def judge(self, done: Exchange, *, pooled: bool) -> Trial:  # noqa: ARG002 - the same on both
        """By time."""
        return (
            Trial(None, said(done)) if done.how is not How.ANSWERED else self.slower(done, float(self._fault.delay_ms))
        )


class LimitEffect(SpokenEffect):
    """A connection ends before more than the limit has passed; a pooled one has its own count and is not probed."""

    most_bytes = 4_000_000

    def __init__(self, reach: Reach, fault: LimitData) -> None:
        super().__init__(reach, wants_pooled=False)
        self._fault = fault
        if fault.limit_bytes > self.most_bytes:
            self.unable = self.unable or f"probes carry at most {self.most_bytes} bytes"

    def fresh(self) -> Trial:
        """Carry more than the limit."""
        wire = self.reach.open()
        if isinstance(wire, Exchange):
            return Trial(None, said(wire))
        upstream = self._fault.stream == "upstream"
        move = self.speaker.push if upstream else self.speaker.pull
        try:
            carried = 0
            for talk in (self.speaker.begin, lambda wire: move(wire, self._fault.limit_bytes + 1000)):
                done = wire.exchange(talk, PATIENCE_S)
                carried += done.bytes_out if upstream else done.bytes_in
                if done.how is not How.ANSWERED:
                    break
        finally:
            wire.close()
        text = f"{said(done)}, {carried} bytes carried, limit {self._fault.limit_bytes}"
        if done.how in (How.ENDED, How.RESET) and (upstream or carried <= self._fault.limit_bytes):
            return Trial(True, text)
        if done.how is How.ANSWERED and carried > self._fault.limit_bytes:
            return Trial(False, text)
        return Trial(None, text)


class DownEffect(SpokenEffect):
    """New connections are refused, the pooled one has ended; needs no protocol for the first of the two."""

    def __init__(self, reach: Reach, fault: Down) -> None:  # noqa: ARG002 - one signature for all
        super().__init__(reach, wants_pooled=reach.speaker is not None)
        self.unable = ""

    def prepare(self) -> None:
        """Before the fault a connection must succeed."""
        if self.reach.speaker is not None:
            super().prepare()
            return
        wire = self.reach.open()
        if isinstance(wire, Exchange):
            self.unable = f"before the fault the edge already was: {said(wire)}"
        else:
            wire.close()

    def fresh(self) -> Trial:
        """Connect; once the edge is up, speak."""
        wire = self.reach.open()
        if isinstance(wire, Exchange):
            return Trial(True if wire.how is How.REFUSED else None, said(wire))
        try:
            if self.reach.speaker is None:
                return Trial(False, "connected")
            return Trial(False, f"connected, {said(wire.exchange(self.speaker.greet, PATIENCE_S))}")
        finally:
            wire.close()

    def judge(self, done: Exchange, *, pooled: bool) -> Trial:  # noqa: ARG002 - asked of the pooled one only
        """It must have ended."""
        return Trial(done.how in (How.ENDED, How.RESET), said(done))


def effect_of(
    fault: Latency | Bandwidth | Timeout | ResetPeer | SlowClose | Slicer | LimitData | Down, reach: Reach
) -> Effect:
    """How ``fault`` shows."""
    if isinstance(fault, Latency):
        return LatencyEffect(reach, fault)
    if isinstance(fault, Bandwidth | Slicer):
        return TransferEffect(reach, fault)
    if isinstance(fault, Timeout):
        return TimeoutEffect(reach, fault)
    if isinstance(fault, ResetPeer):
        return ResetEffect(reach, fault)
    if isinstance(fault, SlowClose):
        return SlowCloseEffect(reach, fault)
    if isinstance(fault, LimitData):
        return LimitEffect(reach, fault)
    return DownEffect(reach, fault)
