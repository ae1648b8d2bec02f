"""The files around finchaos.toml: fixture, drills, load profiles, pytest's settings, CI."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_finchaos.cli.init_toml import FIRST_DRILL, GATE, READ, SLO

RATE = 50
PAYMENT_DRILL = "tests/resilience/test_payments.py"
PYTEST_INI = """[pytest]
addopts = -ra -p no:locust
testpaths = tests
"""
CONFTEST = '''"""The system under test; what it is stands in finchaos.toml."""

from pytest_finchaos import environment_fixture

{fixture} = environment_fixture("{name}", scope="module")
'''
FIRST = '''"""The first drill: the way to the system gets slow, reads still end well, afterwards all is as before."""

from pytest_finchaos import Drill, Environment, faults


def test_reads_survive_a_slow_network({fixture}: Environment, drill: Drill) -> None:
    link = {fixture}.edge("clients", "{entry}")
    with drill.load("first_drill", rate_per_s={rate}) as traffic:
        traffic.steady(duration_s=4)
        with drill.inject(faults.Latency(link, latency_ms=80)) as slow:
            traffic.hold(duration_s=4)
        traffic.recover(within_s=5)
    assert traffic.spent("{slo}", during=slow, at_most_bad=0)
    assert traffic.recovered(slow, within_s=5)
'''
PAYMENTS = '''"""Answers get lost, clients try again with the same key: nobody may pay twice, no payment may vanish."""

import pytest

from pytest_finchaos import Drill, Environment, faults

pytest.skip("fill in the payment of finchaos.toml, then remove this line", allow_module_level=True)


def test_a_lost_answer_charges_nobody_twice({fixture}: Environment, drill: Drill) -> None:
    link = {fixture}.edge("clients", "{entry}")
    with drill.load("payments", rate_per_s={rate}) as traffic:
        traffic.steady(duration_s=4)
        with drill.inject(faults.ResetPeer(link, toxicity=0.3)) as resets:
            traffic.hold(duration_s=4)
        traffic.recover(within_s=5)
    assert traffic.recovered(resets, within_s=5)


def test_payments_survive_a_slow_network({fixture}: Environment, drill: Drill) -> None:
    link = {fixture}.edge("clients", "{entry}")
    with drill.load("payments", rate_per_s={rate}) as traffic:
        traffic.steady(duration_s=4)
        with drill.inject(faults.Latency(link, latency_ms=80, jitter_ms=20)) as slow:
            traffic.hold(duration_s=4)
        traffic.recover(within_s=5)
    assert traffic.spent("payment-success", during=slow, at_most_bad=0)
    assert traffic.recovered(slow, within_s=5)
'''
FIRST_PROFILE = f"""# What the first drill sends: independent reads. The names in [mix] are operations of finchaos.toml.
description = "reads only"
reads_only = true               # it moves no money: that nothing was paid is then no open question
deadline_s = 2.0

[arrivals]
process = "poisson"

[mix]
{READ} = 1
"""
MONEY_PROFILE = f"""# Payments, and reads beside them; who does not know how a payment ended tries again with its key.
description = "payments and reads; three tries with one key; late repeats, keys reused with another amount"
deadline_s = 4.0

[arrivals]
process = "poisson"

[mix]                           # shares of rate_per_s
authorise = 80
{READ} = 20

[amounts]
currency = "EUR"
median_minor = 1200             # lognormal, in minor units
sigma = 0.9
max_minor = 100_000

[retry]
attempts = 3
base_delay_ms = 50

[probes.late_replay]            # the same request again, after the final answer
operation = "authorise"
share = 0.1
after_s = [0.2, 1.0]

[probes.key_reuse]              # the same key with another amount: must be refused
operation = "authorise"
share = 0.05
after_s = [0.2, 1.0]
"""
GITHUB = f"""# Resilience drills, written by finchaos init. {{system}}
name: finchaos
on:
  pull_request:
  schedule:
    - cron: "30 3 * * *"

jobs:
  drills:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: pip install pytest-finchaos
      - run: finchaos doctor
      - run: pytest tests/resilience --finchaos-reports=reports --junitxml=reports/junit.xml
      - run: finchaos gate {GATE} --reports reports --github
        if: always()
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: finchaos-reports
          path: reports/
"""
GITLAB = f"""# Resilience drills, written by finchaos init. {{system}}
# In .gitlab-ci.yml:   include: .gitlab-ci.finchaos.yml
finchaos:
  image: python:3.12
  stage: test
  timeout: 30 minutes
  script:
    - pip install pytest-finchaos
    - finchaos doctor
    - pytest tests/resilience --finchaos-reports=reports --junitxml=reports/junit.xml || failed=1
    - finchaos gate {GATE} --reports reports --junit reports/gate.xml
    - test -z "$failed"
  artifacts:
    when: always
    paths:
      - reports/
    reports:
      junit:
        - reports/junit.xml
        - reports/gate.xml
"""
STARTED = "The system is started by finchaos itself."
ATTACHED = "Start the system in a step before pytest."


def around(*, name: str, fixture: str, entry: str, attached: bool, has_settings: bool) -> Mapping[str, str]:
    """Every file but finchaos.toml, by its path in the project.

    Args:
        name: Name of the environment.
        fixture: Name of its fixture.
        entry: The component where the load enters.
        attached: True when the system must run before pytest does.
        has_settings: True when the project has settings for pytest already.
    """
    system = ATTACHED if attached else STARTED
    filling = {"name": name, "fixture": fixture, "entry": entry, "rate": RATE, "slo": SLO}
    files = {
        "conftest.py": CONFTEST.format(**filling),
        FIRST_DRILL: FIRST.format(**filling),
        PAYMENT_DRILL: PAYMENTS.format(**filling),
        "loadprofiles/first_drill.toml": FIRST_PROFILE,
        "loadprofiles/payments.toml": MONEY_PROFILE,
        ".github/workflows/finchaos.yml": GITHUB.format(system=system),
        ".gitlab-ci.finchaos.yml": GITLAB.format(system=system),
    }
    return files if has_settings else {**files, "pytest.ini": PYTEST_INI}
