"""A month of nightly runs: a defect that came and was mended, a retry, an unsound night, a lost result."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache

from pytest_finchaos.model.result import DrillResult, RecoveryResult, RunResult
from pytest_finchaos.model.verdict import Reason, Verdict
from tests.samples.many import COMMIT, KILLED, OTHER_COMMIT, OTHER_FINGERPRINT, SLOW, before, drill, run, steady
from tests.samples.not_passed import failing_drill
from tests.samples.parts import FINGERPRINT

FRAUD = "experiments/test_dependencies.py::test_payments_resume_when_the_fraud_service_is_back"
ROUNDING = "experiments/test_rounding.py::test_the_rounding_defect_is_found"
BALANCE = "experiments/test_balance.py::test_balances_stay_fast_under_load"
MENDED_NIGHT = 12


@cache
def month(nights: int = 28) -> tuple[RunResult, ...]:
    """One run a night, oldest first; the newest began six hours before `tests.samples.many.NOW`."""
    return tuple(_night(at, 24.0 * (nights - 1 - at) + 6) for at in range(nights))


def _night(at: int, hours: float) -> RunResult:
    chance = random.Random(at)
    mended = at >= MENDED_NIGHT
    fingerprint, commit = (FINGERPRINT, COMMIT) if mended else (OTHER_FINGERPRINT, OTHER_COMMIT)
    made = [
        _slow(at, hours, fingerprint, chance),
        _killed(at, hours - 0.1, fingerprint, broken=6 <= at < MENDED_NIGHT),
        _fraud(at, hours - 0.2, fingerprint, chance),
        drill(
            ROUNDING,
            Verdict.FAIL if at == 27 else Verdict.PASS,
            hours=hours - 0.3,
            fingerprint=fingerprint,
            why=_rounding(at),
        ),
    ]
    lost = (BALANCE,) if at == 27 else ()
    if not lost:
        made.append(_balance(hours - 0.4, fingerprint, chance))
    return run(
        *made, name=f"{before(hours)[:10].replace('-', '')}T020000-{at:04x}", hours=hours, commit=commit, lost=lost
    )


def _rounding(at: int) -> str:
    if at < 27:
        return "the test's assertions hold; found as declared: amount-fidelity"
    return "looked for a violation of amount-fidelity and did not find it (480 checked)"


def _slow(at: int, hours: float, fingerprint: str, chance: random.Random) -> DrillResult:
    verdict = Verdict.INVALID if at == 19 else Verdict.PASS
    why = "the load generator was 140 ms late at p99" if at == 19 else ""
    base = drill(SLOW, verdict, hours=hours, fingerprint=fingerprint, why=why)
    after_s = round(0.2 + chance.random() * (1.2 if at < 24 else 3.4), 2)
    verdict = Verdict.PASS if after_s <= 3 else Verdict.FAIL
    recovery = replace(base.recoveries[0], after_s=after_s, verdict=verdict)
    return replace(
        base, recoveries=(recovery,), objectives=(base.objectives[0], steady(480, chance.choice([0] * 9 + [1])))
    )


def _killed(at: int, hours: float, fingerprint: str, *, broken: bool) -> DrillResult:
    sample = failing_drill()
    base = drill(KILLED, hours=hours, fingerprint=fingerprint)
    never = RecoveryResult(
        "1-kill", Verdict.FAIL, "not_recovered", 1, None, None, None, 12.8, 5.0, asserted=True, text="never"
    )
    good = replace(sample.recoveries[0], verdict=Verdict.PASS, after_s=0.3 + at / 50, within_s=5.0)
    lines = replace(
        base,
        injections=sample.injections,
        recoveries=(never if broken else good,),
        objectives=(steady(300, 6 * broken),),
    )
    if not broken:
        return lines
    return replace(lines, verdict=Verdict.FAIL, reasons=sample.reasons[:1], money=sample.money, test_outcome="failed")


def _fraud(at: int, hours: float, fingerprint: str, chance: random.Random) -> DrillResult:
    text = "undecided (limit 5 s): 61 requests in 2.1 s after the removal, 100 in 2 s are needed"
    verdict = Verdict.INCONCLUSIVE if at >= 25 else Verdict.PASS
    base = drill(FRAUD, verdict, hours=hours, fingerprint=fingerprint, why=text if at >= 25 else "")
    row = replace(base.recoveries[0], within_s=5.0, after_s=round(chance.random() * 2, 2))
    if at >= 25:
        row = replace(row, verdict=Verdict.INCONCLUSIVE, outcome="undecided", after_s=None, text=text)
    claim = replace(steady(600), question="demonstrates", asserted=True, needed=29_356)
    return replace(base, recoveries=(row,), objectives=(claim,), reasons=(Reason("undecided", text),))


def _balance(hours: float, fingerprint: str, chance: random.Random) -> DrillResult:
    base = drill(BALANCE, hours=hours, fingerprint=fingerprint)
    row = replace(
        steady(960 - (bad := chance.randrange(8)), bad, slo="balance-latency"),
        limit="≥ 95 % of balance faster than 100 ms",
        population="balance in steady traffic",
    )
    return replace(base, objectives=(row,), recoveries=(), injections=())
