"""A drill that looks for a defect: it fails when the defect is not found."""

from pytest_finchaos import Drill, Environment


def test_the_rounding_defect_is_found(payments_rounding: Environment, drill: Drill) -> None:
    drill.expect_violation("amount-fidelity")
    with drill.load("card_pos_auth", rate_per_s=50) as traffic:
        traffic.steady(duration_s=4)
    assert payments_rounding.name == "payments-rounding"
