"""Claims over pooled traffic: all sound runs on one build count, also those that failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pytest_finchaos.gates.policy import ClaimSpec, GateSpec
from pytest_finchaos.gates.result import ClaimRow, State
from pytest_finchaos.model.errors import suggest
from pytest_finchaos.model.result import RunResult
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.slo.attempts import instant
from pytest_finchaos.slo.objective import percent
from pytest_finchaos.slo.pool import Sample, pool, sample

_STATES = {Verdict.PASS: State.PASS, Verdict.FAIL: State.FAIL, Verdict.INCONCLUSIVE: State.UNDECIDED}


def decide(spec: GateSpec, runs: Sequence[RunResult], at: datetime) -> tuple[ClaimRow, ...]:
    """Every claim of the gate, on every environment that measured its objective.

    Args:
        spec: The policy.
        runs: All runs, each once.
        at: Now.
    """
    return tuple(row for claim in spec.claims for row in _rows(claim, _fresh(spec, claim, runs, at), runs))


def _fresh(spec: GateSpec, claim: ClaimSpec, runs: Sequence[RunResult], at: datetime) -> list[Sample]:
    found = [sample(run.run.id, drill, claim.slo) for run in runs for drill in run.drills]
    samples = list(dict.fromkeys(one for one in found if one is not None))
    if spec.max_age_h is None:
        return samples
    oldest = at - timedelta(hours=spec.max_age_h)
    return [one for one in samples if (when := instant(one.started_at)) is not None and when >= oldest]


def _rows(claim: ClaimSpec, samples: Sequence[Sample], runs: Sequence[RunResult]) -> list[ClaimRow]:
    share = percent(claim.at_least)
    if not samples:
        return [ClaimRow(claim.slo, share, "", "", State.MISSING, _nobody(claim, runs))]
    rows = []
    for environment in sorted({one.environment for one in samples}):
        here = [one for one in samples if one.environment == environment]
        newest = max(here, key=lambda one: (one.started_at, one.run, one.drill, one.fingerprint))
        rows.append(_row(claim, share, newest, here))
    return rows


def _row(claim: ClaimSpec, share: str, newest: Sample, here: Sequence[Sample]) -> ClaimRow:
    if not newest.fingerprint:
        text = f"the newest drill (run {newest.run}) names no build, so traffic cannot be pooled"
        return ClaimRow(claim.slo, share, newest.environment, "", State.MISSING, text)
    pooled = [one for one in here if one.fingerprint == newest.fingerprint]
    found = pool(pooled, claim.at_least)
    left_out = len(here) - len(pooled)
    other = f"; {left_out} on other builds left out" if left_out else ""
    return ClaimRow(
        slo=claim.slo,
        at_least=share,
        environment=newest.environment,
        fingerprint=newest.fingerprint,
        state=_STATES[found.verdict],
        text=f"{found.text}; build {newest.fingerprint[:12]}{other}",
        good=found.good,
        bad=found.bad,
        needed=found.needed,
        left_out=left_out,
    )


def _nobody(claim: ClaimSpec, runs: Sequence[RunResult]) -> str:
    known = {row.name for run in runs for drill in run.drills for row in drill.objectives}
    if claim.slo in known:
        return "no fresh and sound drill measured it in steady traffic"
    near = suggest(claim.slo, sorted(known))
    hint = f"; did you mean {near!r}?" if near else ""
    return f"no drill measured this objective{hint}"
