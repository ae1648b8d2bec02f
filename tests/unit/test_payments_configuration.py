"""The demo's two environments: one correct, one that declares a defect, alike in everything else."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from pytest_finchaos.payments.defects import FLOAT_ROUNDING, GATEWAY_DEFECTS, SETTLEMENT_DEFECTS, chosen_defects

ROOT = Path(__file__).parent.parent.parent


def environments() -> dict[str, Any]:
    loaded: dict[str, Any] = tomllib.loads((ROOT / "experiments" / "finchaos.toml").read_text())["environments"]
    return loaded


def test_the_environment_of_drills_declares_no_defect_and_allows_them() -> None:
    components = environments()["payments"]["components"]

    for service, known in (("gateway", GATEWAY_DEFECTS), ("settlement", SETTLEMENT_DEFECTS)):
        variables = components[service]["variables"]
        assert chosen_defects(service, known, variables) == ()
        assert chosen_defects(service, known, variables | {"PAYMENTS_DEFECTS": ",".join(known)}) == tuple(sorted(known))


def test_the_rounding_environment_differs_in_its_declared_defect_only() -> None:
    plain, rounding = environments()["payments"], environments()["payments-rounding"]
    declared = rounding["components"]["gateway"]["variables"]["PAYMENTS_DEFECTS"]

    rounding["components"]["gateway"]["variables"]["PAYMENTS_DEFECTS"] = ""

    assert declared == FLOAT_ROUNDING
    assert json.dumps(rounding, sort_keys=True) == json.dumps(plain, sort_keys=True)


def test_the_environment_of_releases_differs_in_the_versions_of_its_gateway_only() -> None:
    plain, releases = environments()["payments"], environments()["payments-releases"]

    versions = releases["components"]["gateway"].pop("versions")

    assert next(iter(versions.values())) == {}
    assert json.dumps(releases, sort_keys=True) == json.dumps(plain, sort_keys=True)
