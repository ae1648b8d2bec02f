"""Services beside the payment path fail: what must stop stops, what need not stop goes on."""

from pytest_finchaos import Drill, Environment, faults


def test_payments_resume_when_the_fraud_service_is_back(payments: Environment, drill: Drill) -> None:
    link = payments.edge("gateway", "fraud")
    with drill.load("card_pos_auth", rate_per_s=100) as traffic:
        traffic.steady(duration_s=4)
        with drill.inject(faults.Down(link)) as down:
            traffic.hold(duration_s=4)
        traffic.recover(within_s=5)
    assert traffic.recovered(down, within_s=3)


def test_a_paused_settlement_relay_delays_files_but_no_payment(payments: Environment, drill: Drill) -> None:
    with drill.load("card_pos_auth", rate_per_s=100) as traffic:
        traffic.steady(duration_s=4)
        with drill.inject(faults.Pause(payments.component("settlement"))) as paused:
            traffic.hold(duration_s=4)
        traffic.recover(within_s=5)
    assert traffic.spent("payment-success", during=paused, at_most_bad=5)
    assert not traffic.spent("settlement-freshness", during=paused, at_most_bad=0)
