"""A drill on a server without a ledger: traffic and recovery are judged, the money is listed as not checked."""

from pytest_finchaos import Drill, Environment, faults


def test_prices_are_read_again_after_torn_connections(prices: Environment, drill: Drill) -> None:
    with drill.load("reads", rate_per_s=50) as traffic:
        traffic.steady(duration_s=4)
        with drill.inject(faults.ResetPeer(prices.edge("clients", "web"), toxicity=0.3)) as resets:
            traffic.hold(duration_s=3)
        traffic.recover(within_s=4)
    assert traffic.recovered(resets, within_s=3)
    assert traffic.demonstrates("prices", at_least="0.9")
