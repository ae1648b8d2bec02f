"""Arming a fault on an edge, in the Toxiproxy that stands on it."""

from __future__ import annotations

import contextlib

from pytest_finchaos.faults.armed import Armed, both
from pytest_finchaos.faults.effects import effect_of
from pytest_finchaos.faults.network import Down, Toxic
from pytest_finchaos.faults.probing import Observation, Reach, prove_seen, prove_unseen, speaker_of
from pytest_finchaos.faults.target import Environment
from pytest_finchaos.faults.traffic import Sampler
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.proxy.client import ProxyError, ToxiproxyClient
from pytest_finchaos.proxy.undo import carry_out
from pytest_finchaos.runtime.clock import NS_PER_S, Clock
from pytest_finchaos.runtime.undo import UndoRecord

POLL_S = 0.05
BEFORE_S = 0.3  # how long an edge is watched before it is taken down, at least
BEFORE_MOST_S = 1.5  # and at most, for one that speaks every half second
NOT_FOUND = 404
# Their connections live on and are all seen; a torn one may end between two looks.
LASTING = ("latency", "bandwidth", "slicer")
SPARED_LIMIT = 0.01  # a toxic that may well have touched nobody but our probes has not been shown to act on the traffic


def spared_chance(toxicity: float, connections: int) -> float:
    """Probability that a toxic of this ``toxicity``, drawn for each connection alone, touched none of them."""
    return (1.0 - toxicity) ** connections


class ArmedOnEdge(Armed):
    """A toxic, or an edge that is down.

    Args:
        fault: What to arm.
        environment: Where.
        injection_id: Its id in the drill; names the toxic.
        clock: The clock.
    """

    def __init__(self, fault: Toxic | Down, environment: Environment, injection_id: str, clock: Clock) -> None:
        super().__init__(fault, injection_id, clock)
        self._fault = fault
        self._edge = edge = fault.edge
        self._journal = environment.undo
        self._client = ToxiproxyClient(edge.api_url)
        self._name = f"finchaos-{edge.environment}-{injection_id}"  # another run may share the team's own Toxiproxy
        self._toxicity = 1.0 if isinstance(fault, Down) else fault.toxicity
        self._sampler = Sampler(edge, clock)
        speaker = speaker_of(
            edge.protocol, edge.upstream, edge.probe_path, lambda: environment.database_url(edge.target)
        )
        self._effect = effect_of(fault, Reach(edge, speaker, self._sampler, clock))
        self._record: UndoRecord | None = None
        self._seen_effect = Observation(None, ("effect not looked at",))
        self._lost = ""
        self._bytes_crossed: int | None = None
        self._before_bytes = 0
        self._before_live: frozenset[int] = frozenset()
        self._final_traffic: Observation | None = None

    @property
    def bytes_crossed(self) -> int | None:
        """Bytes of others while it was armed; of an edge that is down, in the moments before."""
        return self._bytes_crossed

    def arm(self) -> None:
        """Baselines, then the undo on disk, then the act.

        Raises:
            UserError: The proxy is not there, or refused.
        """
        self._require_proxy()
        try:
            self._sampler.start()
            self._effect.prepare()
            if isinstance(self._fault, Down):
                self._watch_before()
            self._sampler.mark()
            self._record = self._intend()
            self._act()
        except BaseException:
            self._abandon()
            raise
        self.armed_at_ns = self.clock.now_ns()

    def _require_proxy(self) -> None:
        try:
            state = self._client.proxy(self._edge.proxy)
        except ProxyError as error:
            if error.status != NOT_FOUND:
                raise
            raise UserError(
                f"edge {self._edge}",
                f"its proxy {self._edge.proxy!r} is not at {self._edge.api_url}",
                allowed=self._client.proxies(),
                got=self._edge.proxy,
                cure="was the Toxiproxy restarted or reset behind the environment's back?",
            ) from None
        if not state.enabled:
            raise UserError(f"edge {self._edge}", "it is down already: its proxy is disabled")

    def _watch_before(self) -> None:
        """An edge that is down carries nothing: what matters is that it carried something just before."""
        start_ns = self.clock.now_ns()
        if self._sampler.unable:
            return
        self._sampler.mark()
        while True:
            self.clock.sleep_s(POLL_S)
            waited_s = (self.clock.now_ns() - start_ns) / NS_PER_S
            reading = self._sampler.reading()
            if waited_s >= BEFORE_MOST_S or (waited_s >= BEFORE_S and reading.bytes_crossed):
                self._before_bytes = reading.bytes_crossed
                self._before_live = self._sampler.live()
                return

    def _intend(self) -> UndoRecord:
        place = {"url": self._edge.api_url, "proxy": self._edge.proxy}
        if isinstance(self._fault, Down):
            return self._journal.intend("enable-proxy", place)
        return self._journal.intend("remove-toxic", {**place, "toxic": self._name})

    def _act(self) -> None:
        fault = self._fault
        if isinstance(fault, Down):
            self._client.set_enabled(self._edge.proxy, enabled=False)
        else:
            self._client.add_toxic(
                self._edge.proxy, self._name, fault.kind, fault.stream, fault.toxicity, fault.attributes
            )

    def _abandon(self) -> None:
        """The act failed, perhaps after it took place: undo it, and keep the record open if that fails too."""
        self._sampler.stop()
        self._effect.close()
        if self._record is not None:
            with contextlib.suppress(OSError):
                carry_out(self._record)
                self._journal.done(self._record)

    def observe(self, within_s: float) -> Observation:
        """Effect by probes, traffic by the kernel; see `Armed.observe`."""
        until_ns = self.clock.now_ns() + round(within_s * NS_PER_S)
        self._seen_effect = prove_seen(self._effect, self._toxicity, within_s, self.clock)
        while True:
            traffic = self._traffic()
            if traffic.seen is not False or self.clock.now_ns() >= until_ns:
                break
            self.clock.sleep_s(POLL_S)
        return self.conclude(both(traffic, self._seen_effect, self._still_set()))

    def _traffic(self) -> Observation:
        """Whether somebody's bytes crossed the edge, or were about to when it went down."""
        if self._final_traffic is not None:
            return self._final_traffic
        if self._sampler.unable:
            return Observation(None, (f"traffic not checked: {self._sampler.unable}",))
        if isinstance(self._fault, Down):
            return self._traffic_before()
        reading = self._sampler.reading()
        self._bytes_crossed = reading.bytes_crossed
        if reading.bytes_crossed:
            text = f"{reading.bytes_crossed} bytes crossed on {reading.connections} connections while armed"
            spared = spared_chance(self._toxicity, reading.connections)
            if self._fault.kind in LASTING and spared > SPARED_LIMIT:
                why = f"each touched with probability {self._toxicity:g}: the chance that none was is {spared:.1%}"
                return Observation(None, (f"{text}, {why}",))
            return Observation(True, (text,))
        return Observation(False, (f"no traffic: not one byte crossed {self._edge} at its proxy while armed",))

    def _traffic_before(self) -> Observation:
        self._bytes_crossed = self._before_bytes
        if not self._before_bytes:
            text = f"no traffic: not one byte crossed {self._edge} at its proxy in the {BEFORE_MOST_S:g} s before"
            return Observation(False, (text,))
        left = self._sampler.live() & self._before_live
        text = f"{self._before_bytes} bytes crossed just before; of {len(self._before_live)} open connections"
        return Observation(not left, (f"{text} {len(left)} are left",))

    def _still_set(self) -> Observation:
        """The server must say so too: somebody may have reset it behind our back."""
        if self._lost:
            return Observation(False, (self._lost,))
        try:
            state = self._client.proxy(self._edge.proxy)
        except ProxyError as error:
            return Observation(None, (f"the proxy could not be asked: {error.what}",))
        if isinstance(self._fault, Down):
            present = not state.enabled
        else:
            present = any(toxic.name == self._name for toxic in state.toxics)
        if present:
            return Observation(True)
        return Observation(False, (f"removed by somebody else: the proxy {self._edge.proxy} no longer has it",))

    def disarm(self) -> None:
        """Remove it; see `Armed.disarm`."""
        if self._disarmed_at_ns is not None or self._record is None:
            return
        self._final_traffic = self._traffic()
        self._sampler.stop()
        self._effect.close()
        present = self._still_set()
        if present.seen is False:
            self._lost = present.evidence[0]
        try:
            self._remove()
        except ProxyError as error:
            if error.status != NOT_FOUND:
                carry_out(self._record)  # a second way, without the library; raises when it fails too
        self._disarmed_at_ns = self.clock.now_ns()
        last = Observation(False, (self._lost,)) if self._lost else Observation(True)
        self.conclude(both(self._final_traffic, self._seen_effect, last))

    def _remove(self) -> None:
        if isinstance(self._fault, Down):
            self._client.set_enabled(self._edge.proxy, enabled=True)
        else:
            self._client.remove_toxic(self._edge.proxy, self._name)

    def prove_gone(self, within_s: float) -> Observation:
        """The same probe, and the server's word; see `Armed.prove_gone`."""
        present = self._lost == "" and self._still_set().seen
        seen = prove_unseen(self._effect, self._toxicity, within_s, self.clock)
        if present:
            seen = Observation(True, (*seen.evidence, f"the proxy {self._edge.proxy} still has it"))
        elif present is False and self._record is not None:
            self._journal.done(self._record)
        return self.conclude_gone(seen)
