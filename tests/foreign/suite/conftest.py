"""The two foreign systems; what they are stands in ../finchaos.toml."""

from pytest_finchaos import environment_fixture

remit = environment_fixture("remit")
prices = environment_fixture("prices")
