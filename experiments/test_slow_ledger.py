"""The database answers late: payments get slower, none fails, none is lost."""

from pytest_finchaos import Drill, Environment, faults


def test_card_payments_survive_a_slow_ledger(payments: Environment, drill: Drill) -> None:
    link = payments.edge("gateway", "ledger-db")
    with drill.load("card_pos_auth", rate_per_s=100) as traffic:
        traffic.steady(duration_s=4)
        with drill.inject(faults.Latency(link, latency_ms=80, jitter_ms=20)) as slow:
            traffic.hold(duration_s=4)
        traffic.recover(within_s=5)
    assert traffic.spent("payment-success", during=slow, at_most_bad=5)
    assert traffic.recovered(slow, within_s=3)
