"""Drills on the payment service in Go: undisturbed, with answers that are lost, cut or late, and with a crash."""

from pytest_finchaos import Drill, Environment, faults


def test_undisturbed_transfers_add_up(remit: Environment, drill: Drill) -> None:
    with drill.load("transfers", rate_per_s=50) as traffic:
        traffic.steady(duration_s=5)
    assert traffic.ok > 0


def test_a_lost_answer_moves_no_money_twice(remit: Environment, drill: Drill) -> None:
    with drill.load("transfers", rate_per_s=50) as traffic:
        traffic.steady(duration_s=4)
        with drill.inject(faults.ResetPeer(remit.edge("clients", "remit"))) as resets:
            traffic.hold(duration_s=1.5)
        traffic.recover(within_s=6)
    assert traffic.recovered(resets, within_s=5)


def test_an_answer_that_is_cut_moves_no_money_twice(remit: Environment, drill: Drill) -> None:
    with drill.load("transfers", rate_per_s=50) as traffic:
        traffic.steady(duration_s=4)
        with drill.inject(faults.LimitData(remit.edge("clients", "remit"), limit_bytes=2500)) as cuts:
            traffic.hold(duration_s=4)
        traffic.recover(within_s=5)
    assert traffic.recovered(cuts, within_s=4)


def test_a_late_answer_moves_no_money_twice(remit: Environment, drill: Drill) -> None:
    with drill.load("transfers", rate_per_s=30) as traffic:
        traffic.steady(duration_s=4)
        with drill.inject(faults.Latency(remit.edge("clients", "remit"), latency_ms=2500)) as late:
            traffic.hold(duration_s=3)
        traffic.recover(within_s=10)
    assert traffic.recovered(late, within_s=8)


def test_a_crash_loses_no_transfer(remit: Environment, drill: Drill) -> None:
    with drill.load("card_pos_auth", rate_per_s=40) as traffic:
        traffic.steady(duration_s=4)
        with drill.inject(faults.Kill(remit.component("remit"))) as crash:
            traffic.hold(duration_s=1)
        traffic.recover(within_s=8)
    assert traffic.recovered(crash, within_s=6)
