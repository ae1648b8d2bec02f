"""What can be known to be wrong with a file before anything is started: names that the environment does not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_finchaos.environments.placeholders import names_in
from pytest_finchaos.experiments import calls, values
from pytest_finchaos.experiments.spec import ExperimentSpec
from pytest_finchaos.experiments.verdict import OUR_INJECTION
from pytest_finchaos.load.profile import load_profile
from pytest_finchaos.model.errors import UserError
from pytest_finchaos.model.spec import EnvironmentSpec
from pytest_finchaos.slo import catalogue


def check(
    spec: ExperimentSpec,
    environments: Mapping[str, EnvironmentSpec],
    *,
    label: str,
    source: Path,
    profile_folders: Sequence[Path],
) -> None:
    """Raise for the first name that does not exist.

    Args:
        spec: The file.
        environments: Those of the configuration.
        label: How messages call the file.
        source: The configuration.
        profile_folders: Where load profiles are looked up.

    Raises:
        UserError: Unknown environment, profile, objective, placeholder, fault, edge or component.
    """
    extension = spec.extension
    if not extension.environment:
        return
    name, where = extension.environment, f"{label}: extension finchaos"
    if name not in environments:
        what = f"no environment {name!r} in {source}"
        cure = f"add [environments.{name}] or use one of the names above"
        raise UserError(f"{where}.environment", what, allowed=environments, got=name, cure=cure)
    environment = environments[name]
    try:
        if extension.load is not None:
            load_profile(extension.load.profile, tuple(profile_folders))
        _objectives(spec, environment, where)
        _placeholders(spec, environment, where)
        for activity in spec.activities:
            _injection(activity, environment)
    except UserError as error:
        raise UserError(label, error.render()) from None


def _objectives(spec: ExperimentSpec, environment: EnvironmentSpec, where: str) -> None:
    known = catalogue.load_objectives(environment.slos, environment.source)
    load = spec.extension.load
    for ask in spec.extension.objectives:
        if ask.question != "recovered":
            catalogue.objective(ask.subject, known)
        elif load is not None and ask.limits["within_s"] > load.recover_s:
            asked = f"recovered within {ask.limits['within_s']:g} s is asked"
            what = f"{asked}, and recovery is watched for {load.recover_s:g} s"
            raise UserError(f"{where}.objectives", what, cure="let load.recover_s be as long as the longest within_s")


def _placeholders(spec: ExperimentSpec, environment: EnvironmentSpec, where: str) -> None:
    kinds = {name: component.kind for name, component in environment.components.items()}
    known = values.place_names(kinds, [(edge.source, edge.target) for edge in environment.edges])
    for key, value in spec.extension.configuration.items():
        if not isinstance(value, str):
            continue
        try:
            names = names_in(value)
        except ValueError as error:
            raise UserError(f"{where}.configuration.{key}", f"{value!r}: {error}") from None
        for name in names:
            if name not in known:
                raise UserError(
                    f"{where}.configuration.{key}", f"unknown placeholder {{{name}}}", allowed=known, got=name
                )


def _injection(activity: Mapping[str, Any], environment: EnvironmentSpec) -> None:
    """Our own injections, as far as their arguments stand in the file and are not filled in later."""
    provider = activity.get("provider")
    if not isinstance(provider, Mapping) or f"{provider.get('module')}.{provider.get('func')}" != OUR_INJECTION:
        return
    arguments = provider.get("arguments")
    given = {
        key: value
        for key, value in (arguments.items() if isinstance(arguments, Mapping) else ())
        if isinstance(value, str) and "${" not in value
    }
    if "fault" in given:
        calls.fault_class(given["fault"])
    if "component" in given and given["component"] not in environment.components:
        name = given["component"]
        raise UserError("inject", f"no component {name!r}", allowed=environment.components, got=name)
    if "edge" in given:
        ends = calls.ends_of(given["edge"])
        edges = [f"{edge.source}→{edge.target}" for edge in environment.edges]
        if "→".join(ends) not in edges:
            raise UserError("inject", f"no edge {'→'.join(ends)}", allowed=edges, got="→".join(ends))
