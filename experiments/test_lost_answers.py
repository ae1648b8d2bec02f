"""The answer is lost after the commit; the client tries again with the same key and must not pay twice."""

from pytest_finchaos import Drill, Environment, faults


def test_a_reset_after_commit_charges_nobody_twice(payments: Environment, drill: Drill) -> None:
    link = payments.edge("clients", "gateway")
    with drill.load("card_pos_auth", rate_per_s=100) as traffic:
        traffic.steady(duration_s=4)
        with drill.inject(faults.ResetPeer(link, toxicity=0.3)) as resets:
            traffic.hold(duration_s=4)
        traffic.recover(within_s=5)
    assert traffic.recovered(resets, within_s=3)
