"""History: outcomes, accounting, and what a damaged record file or a stalled generator gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_finchaos.load.history import HistoryReader, outcome_of, read_history
from pytest_finchaos.load.plan import LoadPlan
from pytest_finchaos.load.profile import Amounts, ArrivalProcess, Profile
from pytest_finchaos.load.records import SIZE, Kind, Record, RecordWriter, encode
from pytest_finchaos.model.history import Attempt, History, Outcome, Purpose
from pytest_finchaos.model.spec import OperationSpec
from pytest_finchaos.runtime.clock import NS_PER_S

T0 = 1_000 * NS_PER_S
PLAN = LoadPlan(
    profile=Profile("p", ArrivalProcess(), {"pay": 1.0}, Amounts("EUR", 100, 0.5)),
    rate_per_s=20.0,
    seed="s",
    key_prefix="k",
    operations={"pay": OperationSpec("pay", "g")},
    base_urls={"g": "http://127.0.0.1:1"},
    max_in_flight=5,
)
OPERATION, REPLAY, REUSE = Purpose.OPERATION, Purpose.REPLAY, Purpose.REUSE
OK, DECLINED, FAILED, UNKNOWN, CENSORED = (
    Outcome.OK,
    Outcome.DECLINED,
    Outcome.FAILED,
    Outcome.UNKNOWN,
    Outcome.CENSORED,
)


@pytest.mark.parametrize(
    ("attempts", "outcome"),
    [
        ([], None),
        ([(OPERATION, OK)], OK),
        ([(OPERATION, UNKNOWN), (OPERATION, OK)], OK),
        ([(OPERATION, UNKNOWN), (OPERATION, DECLINED)], DECLINED),
        ([(OPERATION, UNKNOWN), (OPERATION, FAILED)], UNKNOWN),  # the first may have happened
        ([(OPERATION, FAILED), (OPERATION, FAILED)], FAILED),
        ([(OPERATION, UNKNOWN), (OPERATION, CENSORED)], CENSORED),
        ([(OPERATION, CENSORED)], CENSORED),
        ([(OPERATION, OK), (REUSE, UNKNOWN)], OK),
        ([(OPERATION, DECLINED), (REUSE, OK)], DECLINED),  # an accepted reuse is a finding, not this operation's answer
        ([(OPERATION, UNKNOWN), (REPLAY, OK)], OK),
        ([(REUSE, OK)], None),
    ],
)
def test_outcome_of_attempts(attempts: list[tuple[Purpose, Outcome]], outcome: Outcome | None) -> None:
    made = [Attempt(0, at, purpose, end, "http", 0, 0, 0, 0) for at, (purpose, end) in enumerate(attempts)]
    assert outcome_of(made) is outcome


def write_load(
    path: Path,
    *,
    duration_s: float = 3.0,
    pause_s: tuple[float, float] | None = None,
    unanswered: int | None = None,
    footer: bool = True,
    in_flight: int = 1,
) -> None:
    """A record file as a driver would write it; during ``pause_s`` nothing is sent, and the due ones follow."""
    writer = RecordWriter(path, PLAN.names, {})
    writer.write(Record(Kind.BEGIN, sent_ns=T0))
    planned = 0
    for held in range(in_flight - 1):  # hanging requests of an arrival far beyond the plan
        writer.write(Record(Kind.START, arrival=1_000_000, number=held, intended_ns=T0, sent_ns=T0))
    for arrival in PLAN.arrivals():
        if arrival.intended_ns >= duration_s * NS_PER_S:
            break
        planned += 1
        sent_ns = T0 + arrival.intended_ns
        if pause_s and pause_s[0] * NS_PER_S <= arrival.intended_ns < pause_s[1] * NS_PER_S:
            sent_ns = T0 + int(pause_s[1] * NS_PER_S)
        start = Record(Kind.START, arrival=arrival.index, intended_ns=T0 + arrival.intended_ns, sent_ns=sent_ns)
        writer.write(start)
        if arrival.index != unanswered:
            writer.write(start._replace(kind=Kind.END, done_ns=sent_ns + 1_000_000, outcome=OK, status=200))
    stopped_ns = T0 + int(duration_s * NS_PER_S)
    writer.write(Record(Kind.STOP, sent_ns=stopped_ns))
    if footer:
        writer.finish(started_ns=T0, stopped_ns=stopped_ns, planned=planned, max_in_flight=1, cpu_us=7)


def history_of(path: Path) -> History:
    history = read_history(PLAN, path)
    counts = history.counts
    assert counts.planned == counts.sent + counts.unsent == len(history.operations)
    assert counts.sent == counts.ok + counts.declined + counts.failed + counts.unknown + counts.censored
    return history


def test_a_whole_file_gives_a_complete_history(tmp_path: Path) -> None:
    write_load(tmp_path / "r")
    history = history_of(tmp_path / "r")
    assert history.generator.complete
    assert history.generator.problems == ()
    assert history.counts.ok == history.counts.planned > 30
    assert {operation.latency_ns for operation in history.operations} == {1_000_000}


def test_a_start_without_an_end_is_censored_and_has_no_latency(tmp_path: Path) -> None:
    write_load(tmp_path / "r", unanswered=4)
    history = history_of(tmp_path / "r")
    assert history.generator.complete
    assert history.counts.censored == 1
    assert history.operations[4].outcome is CENSORED
    assert history.operations[4].latency_ns is None


@pytest.mark.parametrize("cut", [1, SIZE - 1, SIZE, 5 * SIZE + 3])
def test_a_truncated_file_is_not_complete(tmp_path: Path, cut: int) -> None:
    write_load(tmp_path / "r")
    whole = (tmp_path / "r").read_bytes()
    (tmp_path / "r").write_bytes(whole[:-cut])
    history = history_of(tmp_path / "r")
    assert not history.generator.complete
    assert any("footer" in problem for problem in history.generator.problems)


@pytest.mark.parametrize("at", [20, 75, 1_000, 3_000])
def test_one_wrong_byte_is_noticed(tmp_path: Path, at: int) -> None:
    write_load(tmp_path / "r")
    data = bytearray((tmp_path / "r").read_bytes())
    data[at] ^= 0x40
    (tmp_path / "r").write_bytes(bytes(data))
    assert not history_of(tmp_path / "r").generator.complete


def test_records_cut_out_of_the_middle_are_noticed(tmp_path: Path) -> None:
    write_load(tmp_path / "r")
    data = (tmp_path / "r").read_bytes()
    end = len(data) - 3 * SIZE
    (tmp_path / "r").write_bytes(data[: end - 2 * SIZE] + data[end:])
    problems = " ".join(history_of(tmp_path / "r").generator.problems)
    assert "missing" in problems
    assert "the footer states" in problems


def test_a_footer_that_contradicts_the_plan_is_noticed(tmp_path: Path) -> None:
    write_load(tmp_path / "r")
    with pytest.raises(FileExistsError):
        RecordWriter(tmp_path / "r", PLAN.names, {})  # never overwritten
    other = LoadPlan(**{**{name: getattr(PLAN, name) for name in PLAN.__slots__}, "seed": "another"})
    problems = " ".join(read_history(other, tmp_path / "r").generator.problems)
    assert "planned arrivals" in problems


@pytest.mark.parametrize("content", [b"", b"finchaos", b"rubbish" * 100])
def test_a_file_that_is_no_record_file_gives_problems_and_no_traffic(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r").write_bytes(content)
    history = history_of(tmp_path / "r")
    assert history.counts.planned == 0
    assert not history.generator.complete


def test_a_missing_file_gives_problems_too(tmp_path: Path) -> None:
    assert not history_of(tmp_path / "none").generator.complete


def test_an_end_without_a_start_is_noticed(tmp_path: Path) -> None:
    writer = RecordWriter(tmp_path / "r", PLAN.names, {})
    writer.write(Record(Kind.BEGIN, sent_ns=T0))
    writer.write(Record(Kind.END, arrival=3, sent_ns=T0, done_ns=T0 + 1))
    writer.finish(started_ns=T0, stopped_ns=T0 + 1, planned=0, max_in_flight=0, cpu_us=0)
    assert any("without a start" in problem for problem in history_of(tmp_path / "r").generator.problems)


def test_a_generator_that_stood_still_is_told_even_when_it_went_on(tmp_path: Path) -> None:
    write_load(tmp_path / "r", duration_s=6, pause_s=(1.0, 3.5))
    (problem,) = history_of(tmp_path / "r").generator.problems
    assert problem.startswith("the generator stalled for 2.")


def test_a_short_pause_is_lag_and_no_stall(tmp_path: Path) -> None:
    write_load(tmp_path / "r", duration_s=6, pause_s=(1.0, 1.8))
    history = history_of(tmp_path / "r")
    assert history.generator.problems == ()
    assert history.generator.lag_p99_ns > 500_000_000


def test_waiting_at_the_cap_is_the_targets_doing(tmp_path: Path) -> None:
    write_load(tmp_path / "r", duration_s=6, pause_s=(1.0, 3.5), in_flight=PLAN.max_in_flight + 1)
    assert not any("stalled" in problem for problem in history_of(tmp_path / "r").generator.problems)


def test_a_growing_file_is_read_from_where_reading_stopped(tmp_path: Path) -> None:
    write_load(tmp_path / "whole")
    data = (tmp_path / "whole").read_bytes()
    reader = HistoryReader(PLAN, tmp_path / "growing")
    for end in range(0, len(data) + 1, 997):
        (tmp_path / "growing").write_bytes(data[:end])
        reader.read()
        reader.history(T0 + NS_PER_S, running=True)
    (tmp_path / "growing").write_bytes(data)
    reader.read()
    assert reader.history(0) == history_of(tmp_path / "whole")


def test_a_running_load_is_never_called_complete(tmp_path: Path) -> None:
    write_load(tmp_path / "r", footer=False)
    reader = HistoryReader(PLAN, tmp_path / "r")
    reader.read()
    running = reader.history(T0 + NS_PER_S, running=True)
    assert running.generator.problems == ("the load is still running",)


def test_a_record_holds_no_more_than_its_size() -> None:
    assert len(encode(Record(Kind.END, number=3, reference="ab" * 16, answer="cd" * 8, value=1.5))) == SIZE == 80
