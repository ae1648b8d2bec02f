"""Laws of gates: order does not matter, bad news never helps, green means that everything required is green."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finchaos.gates.decide import decide
from pytest_finchaos.gates.policy import ClaimSpec, GateSpec
from pytest_finchaos.gates.result import State, Status
from pytest_finchaos.model.result import DrillResult, RunResult
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.slo.pool import Sample, pool
from tests.samples.many import COMMIT, NOW, OTHER_COMMIT, OTHER_FINGERPRINT, drill, measured, run, steady
from tests.samples.parts import FINGERPRINT

IDS = ("tests/test_a.py::test_one", "tests/test_a.py::test_two", "tests/test_b.py::test_three[eu]")
HOURS = st.sampled_from([0.5, 1.0, 2.0, 23.0, 25.0])
FINGERPRINTS = st.sampled_from([FINGERPRINT, OTHER_FINGERPRINT])

drills = st.builds(drill, st.sampled_from(IDS), st.sampled_from(list(Verdict)), hours=HOURS, fingerprint=FINGERPRINTS)


@st.composite
def a_run(draw: st.DrawFn) -> RunResult:
    chosen = draw(st.lists(drills, max_size=3, unique_by=lambda one: one.id))
    left = [one for one in IDS if one not in {drill.id for drill in chosen}]
    lost = tuple(draw(st.lists(st.sampled_from(left), max_size=1))) if left else ()
    return run(
        *chosen,
        name=draw(st.sampled_from(["a", "b", "c", "d"])),
        hours=draw(HOURS),
        commit=draw(st.sampled_from([COMMIT, OTHER_COMMIT, ""])),
        tree=draw(st.sampled_from(["clean", "modified"])),
        lost=lost,
    )


runs = st.lists(a_run(), max_size=4)
specs = st.builds(
    GateSpec,
    st.just("law"),
    st.sampled_from([IDS[:1], IDS, ("tests/*",), (*IDS, "tests/none.py")]),
    max_age_h=st.sampled_from([None, 24.0]),
    on_undecided=st.sampled_from(["block", "warn"]),
    same_fingerprint=st.booleans(),
)


@given(specs, runs, st.randoms())
@settings(max_examples=150, deadline=None)
def test_the_order_of_the_reports_does_not_matter(spec: GateSpec, given_runs: list[RunResult], chance: object) -> None:
    shuffled = list(given_runs)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert decide(spec, given_runs, NOW) == decide(spec, shuffled, NOW)


@given(specs, runs)
@settings(max_examples=100, deadline=None)
def test_naming_a_report_twice_changes_nothing(spec: GateSpec, given_runs: list[RunResult]) -> None:
    assert decide(spec, given_runs, NOW) == decide(spec, [*given_runs, *given_runs], NOW)


@given(specs, runs, st.sampled_from(IDS), HOURS, FINGERPRINTS, st.sampled_from([COMMIT, OTHER_COMMIT, ""]))
@settings(max_examples=200, deadline=None)
def test_a_failing_run_never_turns_a_blocked_gate_green(
    spec: GateSpec, given_runs: list[RunResult], node_id: str, hours: float, fingerprint: str, commit: str
) -> None:
    failing = run(drill(node_id, Verdict.FAIL, hours=hours, fingerprint=fingerprint), name="failing", commit=commit)
    before = decide(spec, given_runs, NOW)
    after = decide(spec, [*given_runs, failing], NOW)
    if before.exit_code != 0:
        assert after.exit_code != 0


@given(specs, runs)
@settings(max_examples=200, deadline=None)
def test_green_means_that_every_requirement_is_green(spec: GateSpec, given_runs: list[RunResult]) -> None:
    found = decide(spec, given_runs, NOW)
    assert found.rows
    allowed = {State.PASS, State.UNDECIDED} if spec.on_undecided == "warn" else {State.PASS}
    assert (found.exit_code == 0) == ({row.state for row in found.rows} <= allowed)
    if found.status is Status.UNDECIDED:
        assert {row.state for row in found.rows} <= {State.PASS, State.UNDECIDED}


@given(specs, runs)
@settings(max_examples=100, deadline=None)
def test_time_that_passes_never_turns_a_gate_green(spec: GateSpec, given_runs: list[RunResult]) -> None:
    later = "2026-03-03T12:00:00.000+00:00"
    if decide(spec, given_runs, NOW).exit_code != 0:
        assert decide(spec, given_runs, later).exit_code != 0


counted = st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 3)), min_size=1, max_size=5)


@given(counted, st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_bad_requests_never_help_a_claim(rows: list[tuple[int, int]], more: int) -> None:
    def claim(bad_more: int) -> Verdict:
        everything = [*rows[:-1], (rows[-1][0], rows[-1][1] + bad_more)]
        total = [(sum(good for good, _ in everything), sum(bad for _, bad in everything))]
        samples = [Sample("t", "r", "", "e", "f", good, bad) for good, bad in total]
        return pool(samples, Fraction(9999, 10000)).verdict

    order = [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS]
    assert order.index(claim(more)) <= order.index(claim(0))


@given(st.lists(st.integers(1, 40_000), min_size=1, max_size=6))
@settings(max_examples=100, deadline=None)
def test_how_clean_traffic_is_cut_into_drills_does_not_matter(parts: list[int]) -> None:
    spec = GateSpec("law", (IDS[0],), claims=(ClaimSpec("payment-success", Fraction(9999, 10000)),))

    def claim(sizes: list[int]) -> tuple[State, int | None]:
        pieces: list[DrillResult] = [
            measured(steady(size), node_id=IDS[0], hours=at + 1) for at, size in enumerate(sizes)
        ]
        row = decide(spec, [run(piece, name=str(at)) for at, piece in enumerate(pieces)], NOW).claims[0]
        return row.state, row.needed

    assert claim(parts) == claim([sum(parts)])
