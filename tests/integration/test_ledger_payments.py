"""The money check on the reference payment system: green on the correct build, each defect named by its invariant."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_finchaos.environments.config import load_configuration
from pytest_finchaos.ledger.check import check_money
from pytest_finchaos.load import client
from pytest_finchaos.load.history import outcome_of
from pytest_finchaos.model.history import (
    Arrival,
    Attempt,
    Counts,
    GeneratorReport,
    History,
    Operation,
    Outcome,
    Purpose,
)
from pytest_finchaos.model.money import MoneyReport
from pytest_finchaos.model.spec import EnvironmentSpec
from pytest_finchaos.model.verdict import Verdict
from pytest_finchaos.runtime.clock import SystemClock
from tests.systems.payments import HOST, Stand, payment_stand

ROOT = Path(__file__).parent.parent.parent
PLAN = (Purpose.OPERATION, Purpose.REPLAY, Purpose.REUSE)


@dataclass
class Shop:
    """Customers of a stand, and the stand as an environment."""

    stand: Stand
    spec: EnvironmentSpec
    operations: list[Operation] = field(default_factory=list)
    started_ns: int = field(default_factory=SystemClock().now_ns)

    def database_url(self, component: str) -> str:
        return f"postgresql://payments@{HOST}:{self.stand.database.port}/payments"

    def base_url(self, component: str) -> str:
        return f"http://{self.direct_address(component)}"

    def direct_address(self, component: str) -> str:
        return f"{HOST}:{getattr(self.stand, component).port}"

    def workdir(self, component: str) -> Path:
        return Path("/nowhere")

    @property
    def token(self) -> str:
        return self.stand.authorised()["Authorization"].removeprefix("Bearer ")

    def buy(
        self,
        purposes: Sequence[Purpose] = PLAN,
        *,
        customer: str = "cust-0100",
        amount_minor: int = 1999,
        **options: Any,
    ) -> Operation:
        """One payment with the given attempts, through the client that the harness itself uses."""
        index = len(self.operations)
        values = {"amount_minor": amount_minor, "currency": "EUR", "customer": customer, "merchant": "shop-0001"}
        arrival = Arrival(index, 0, "authorise", f"test-{index:06d}", values)
        made = tuple(self._attempt(arrival, number, purpose, **options) for number, purpose in enumerate(purposes))
        operation = Operation(arrival, self.started_ns, made, outcome_of(made), 0, None)
        self.operations.append(operation)
        return operation

    def _attempt(self, arrival: Arrival, number: int, purpose: Purpose, timeout_s: float | None = None) -> Attempt:
        values = {**arrival.values, "key": arrival.key, "index": arrival.index, "token": self.token}
        if purpose is Purpose.REUSE:
            values["amount_minor"] += 1
        operation = self.spec.operations["authorise"]
        got = client.send(operation, values, self.base_url("gateway"), timeout_s)
        return Attempt(
            arrival.index, number, purpose, got.outcome, got.detail, got.status, got.sent_ns, got.sent_ns, got.done_ns,
            got.reference, got.answer,
        )  # fmt: skip

    def check(self) -> MoneyReport:
        """The money check of what was bought."""
        now_ns = SystemClock().now_ns()
        history = History(
            "p", 1.0, "s", self.started_ns, now_ns, tuple(self.operations), GeneratorReport(complete=True), Counts()
        )
        return check_money(history, spec=self.spec, environment=self, injections=(), setup_values={"token": self.token})


def shop_at(stand: Stand) -> Shop:
    return Shop(stand, load_configuration(ROOT / "experiments" / "finchaos.toml").environments["payments"])


def failed(report: MoneyReport) -> set[str]:
    assert report.problem == ""
    return {finding.invariant for finding in report.findings if finding.verdict is Verdict.FAIL}


def test_a_correct_build_passes_every_invariant() -> None:
    with payment_stand() as stand:
        shop = shop_at(stand)
        for number in range(10):
            shop.buy(customer=f"cust-{number + 100:04d}", amount_minor=100 + number)
        shop.buy(customer="cust-0001", amount_minor=400_000)  # declined, replayed, reused
        stand.gateway.signal(signal.SIGSTOP)  # it cannot answer in time, however fast it is
        given_up = shop.buy([Purpose.OPERATION], timeout_s=0.2)
        stand.gateway.signal(signal.SIGCONT)

        report = shop.check()

        assert given_up.outcome is Outcome.UNKNOWN
        assert {finding.text for finding in report.findings if finding.verdict is not Verdict.PASS} == set()
        assert report.not_checked == {}
        assert [resolution.key for resolution in report.resolutions] == [given_up.arrival.key]
        assert report.quiet_after_s is not None


@pytest.mark.parametrize(
    ("service", "defect", "named"),
    [
        ("gateway", "key-ignored", {"exactly-once", "same-key-same-answer", "key-reuse-refused"}),
        ("gateway", "float-rounding", {"amount-fidelity"}),
        ("settlement", "settlement-skips", {"settlement-complete"}),
    ],
)
def test_a_defect_is_named_by_its_invariant_and_by_no_other(service: str, defect: str, named: set[str]) -> None:
    with payment_stand({service: defect}) as stand:
        shop = shop_at(stand)
        for number in range(100):  # one of seven is skipped, by its id: none of a hundred is out of reach
            shop.buy(amount_minor=1005 + number)

        report = shop.check()

        assert failed(report) == named
        assert all(finding.amount_minor["EUR"] > 0 for finding in report.findings if finding.invariant in named)
        assert all(finding.witnesses for finding in report.findings if finding.invariant in named)


def test_payments_that_were_acknowledged_and_lost_are_found() -> None:
    with payment_stand({"gateway": "ack-before-commit"}) as stand:
        shop = shop_at(stand)
        shop.buy()
        stand.database.kill()
        lost = shop.buy([Purpose.OPERATION])
        stand.gateway.kill()
        stand.database.start()
        stand.gateway.restart()
        stand.settlement.wait_ready()

        report = shop.check()

        assert lost.outcome is Outcome.OK
        assert "acknowledged-durable" in failed(report)
        (finding,) = [each for each in report.findings if each.invariant == "acknowledged-durable"]
        assert lost.arrival.key in [witness.key for witness in finding.witnesses]


def test_an_expired_token_is_said_and_leaves_the_rest_standing() -> None:
    with payment_stand() as stand:
        shop = shop_at(stand)
        shop.buy()
        history = History(
            "p", 1.0, "s", shop.started_ns, 0, tuple(shop.operations), GeneratorReport(complete=True), Counts()
        )

        report = check_money(history, spec=shop.spec, environment=shop, injections=(), setup_values={"token": "old"})

        assert "the token is no longer accepted" in report.not_checked["replay"]
        assert failed(report) == set()
        undecided = {finding.invariant for finding in report.findings if finding.verdict is Verdict.INCONCLUSIVE}
        assert undecided == {"lookup-agrees"}


def test_a_relay_that_stands_still_is_not_quiet() -> None:
    with payment_stand() as stand:
        shop = shop_at(stand)
        assert shop.spec.ledger is not None
        shop.spec = replace(shop.spec, ledger=replace(shop.spec.ledger, quiet_within_s=0.5))
        stand.settlement.kill()
        shop.buy()

        report = shop.check()

        assert failed(report) == {"quiescence"}
        assert report.quiet_after_s is None
