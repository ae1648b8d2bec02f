"""The operations that run once before the load, e.g. a login."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_finchaos.load import request as requests
from pytest_finchaos.load.driver.exchange import Exchange
from pytest_finchaos.load.locust_plan import LocustPlan
from pytest_finchaos.load.plan import LoadPlan
from pytest_finchaos.load.records import Kind, Record, RecordWriter
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.history import Outcome, Purpose
from pytest_finchaos.runtime.clock import Clock

TRIES = 3
PAUSE_S = 0.2


def set_up(plan: LoadPlan | LocustPlan, exchange: Exchange, writer: RecordWriter, clock: Clock) -> Mapping[str, Any]:
    """Run the setup operations in order; what they provide is held in memory only.

    Returns:
        Placeholder values.

    Raises:
        UserError: One did not succeed, or its answer lacks what it should provide.
    """
    values: dict[str, Any] = dict(plan.setup_values)
    for position, operation in enumerate(plan.setup):
        base = {"key": f"{plan.key_prefix}-setup-{position}", "index": position}
        ready = requests.render(operation, {**base, **values})
        for number in range(TRIES):
            if number:
                clock.sleep_s(PAUSE_S)
            start = Record(
                Kind.START,
                arrival=position,
                number=number,
                purpose=Purpose.SETUP,
                operation=plan.names.index(operation.name),
                sent_ns=clock.now_ns(),
            )
            writer.write(start)
            status, detail, body, headers = exchange.send(operation.component, ready, operation.timeout_s)
            reading = requests.classify(operation, status, detail, body, headers)
            end = start._replace(kind=Kind.END, outcome=reading.outcome, detail=reading.detail, status=status or 0)
            writer.write(end._replace(done_ns=clock.now_ns()))
            if reading.outcome is Outcome.OK:
                break
        else:
            what = f"{reading.outcome.value}: HTTP status {status}" if status else reading.detail
            raise UserError(f"setup operation {operation.name!r}", f"did not succeed ({what})")
        values.update(requests.provided(operation, body, headers))
    return values
