"""The environments of the demo suite; what they are stands in finchaos.toml."""

from pytest_finchaos import environment_fixture

payments = environment_fixture("payments", scope="session")
payments_rounding = environment_fixture("payments-rounding")
payments_releases = environment_fixture("payments-releases", scope="module")
