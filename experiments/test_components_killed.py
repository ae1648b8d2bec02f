"""Processes die without notice; the supervisor starts them again as declared, and no acknowledged payment is lost."""

from pytest_finchaos import Drill, Environment, faults


def test_a_killed_gateway_is_back_within_seconds(payments: Environment, drill: Drill) -> None:
    with drill.load("card_pos_auth", rate_per_s=100) as traffic:
        traffic.steady(duration_s=4)
        with drill.inject(faults.Kill(payments.component("gateway"))) as killed:
            traffic.hold(duration_s=3)
        traffic.recover(within_s=10)
    assert traffic.recovered(killed, within_s=10)


def test_a_database_killed_with_sigkill_loses_no_payment(payments: Environment, drill: Drill) -> None:
    with drill.load("card_pos_auth", rate_per_s=100) as traffic:
        traffic.steady(duration_s=4)
        with drill.inject(faults.Kill(payments.component("ledger-db"))) as killed:
            traffic.hold(duration_s=3)
        traffic.recover(within_s=10)
    assert traffic.recovered(killed, within_s=10)
