"""Load profiles: TOML data, checked against a JSON schema, as a frozen dataclass."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_finchaos.model.errors import UserError

SCHEMA = "profile.schema.json"
NO_AMOUNTS = {"currency": "EUR", "median_minor": 1, "sigma": 0.0}  # of a profile that only reads: never sent


@dataclass(frozen=True, slots=True)
class ArrivalProcess:
    """When operations arrive.

    Args:
        process: ``poisson``, or ``mmpp``: a two-state Markov-modulated Poisson process.
        burst_factor: Rate within a burst divided by the rate outside.
        burst_share: Long-run share of time within bursts.
        burst_mean_s: Mean length of a burst in seconds.
    """

    process: str = "poisson"
    burst_factor: float = 3.0
    burst_share: float = 0.2
    burst_mean_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Amounts:
    """Lognormal amounts in integer minor units of ``currency``, cut to ``min_minor`` … ``max_minor``."""

    currency: str
    median_minor: int
    sigma: float
    min_minor: int = 1
    max_minor: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Retry:
    """Tries of one operation, the first counted; delays are uniform in 0 … ``base_delay_ms · 2^n``."""

    attempts: int = 1
    base_delay_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Probe:
    """An extra request for a ``share`` of an operation's arrivals, ``after_s`` (shortest, longest) its final answer."""

    operation: str
    share: float
    after_s: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Profile:
    """What clients do.

    Args:
        name: Name of the file without its ending.
        arrivals: The arrival process.
        mix: Operation to weight, in the order of the file.
        amounts: Distribution of amounts.
        polls: Operation to interval in seconds, beside the mix.
        skew: Data source to Zipf exponent; absent sources are uniform.
        retry: Retry policy.
        late_replay: Replays after the final answer, or None.
        key_reuse: Key-reuse probes, or None.
        deadline_s: No try starts later than this after the intended time.
        description: One sentence.
        reads_only: Declares that no operation moves money, so that checks of payments are not made rather than open.
    """

    name: str
    arrivals: ArrivalProcess
    mix: Mapping[str, float]
    amounts: Amounts
    polls: Mapping[str, float] = field(default_factory=dict)
    skew: Mapping[str, float] = field(default_factory=dict)
    retry: Retry = field(default_factory=Retry)
    late_replay: Probe | None = None
    key_reuse: Probe | None = None
    deadline_s: float = 10.0
    description: str = ""
    reads_only: bool = False

    @property
    def operations(self) -> tuple[str, ...]:
        """Every operation that the profile names, mix first."""
        return tuple(dict.fromkeys([*self.mix, *self.polls]))

    def restricted_to(self, mapped: Sequence[str]) -> Profile:
        """The profile without the operations that are not in ``mapped``; the instants of the others stay."""
        return replace(
            self,
            mix={name: weight for name, weight in self.mix.items() if name in mapped},
            polls={name: every_s for name, every_s in self.polls.items() if name in mapped},
        )


def packaged_profiles() -> Path:
    """The folder with the shipped profiles: inside an installed package, else at the top of the checkout."""
    here = Path(__file__).resolve().parent
    installed = here / "profiles"
    return installed if (installed / SCHEMA).is_file() else here.parent.parent / "loadprofiles"


def load_profile(name: str, folders: Sequence[Path] = ()) -> Profile:
    """Read a profile by name.

    Args:
        name: Name of the file without ``.toml``.
        folders: Searched in order, before the shipped profiles; folders that do not exist are passed over.

    Returns:
        The profile.

    Raises:
        UserError: Unknown name, unreadable or malformed file, unknown keys, wrong values; all mistakes together.
    """
    found: dict[str, Path] = {}
    for folder in (*folders, packaged_profiles()):
        if folder.is_dir():
            for path in sorted(folder.glob("*.toml")):
                found.setdefault(path.stem, path)
    path_of = found.get(name)
    if path_of is None:
        places = ", ".join(str(folder) for folder in folders) or "no folder of this project"
        raise UserError(
            f"load profile {name!r}",
            f"no such profile (looked into {places}, then the shipped ones)",
            allowed=sorted(found),
            got=name,
            cure="use one of these, or write loadprofiles/NAME.toml by profile.schema.json",
        )
    return parse_profile(path_of.read_text(encoding="utf-8"), name=name, where=str(path_of))


def parse_profile(text: str, *, name: str, where: str) -> Profile:
    """A profile from TOML text; ``where`` names its place in messages.

    Raises:
        UserError: As `load_profile`.
    """
    try:
        plain = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(where, f"not TOML: {error}") from None
    mistakes = list(_mistakes(plain, where))
    if not mistakes:
        mistakes = list(_contradictions(plain, where))
    if len(mistakes) == 1:
        raise mistakes[0]
    if mistakes:
        raise UserError(where, f"{len(mistakes)} mistakes\n" + "\n".join(mistake.render() for mistake in mistakes))
    probes = plain.get("probes", {})
    return Profile(
        name=name,
        arrivals=ArrivalProcess(**plain["arrivals"]),
        mix=plain["mix"],
        amounts=Amounts(**plain.get("amounts", NO_AMOUNTS)),
        polls={poll: table["every_s"] for poll, table in plain.get("polls", {}).items()},
        skew=plain.get("skew", {}),
        retry=Retry(**plain.get("retry", {})),
        late_replay=_probe(probes.get("late_replay")),
        key_reuse=_probe(probes.get("key_reuse")),
        deadline_s=float(plain.get("deadline_s", 10.0)),
        description=plain.get("description", ""),
        reads_only=plain.get("reads_only", False),
    )


def _probe(table: Mapping[str, Any] | None) -> Probe | None:
    if table is None:
        return None
    low, high = table["after_s"]
    return Probe(table["operation"], table["share"], (float(low), float(high)))


def _mistakes(plain: Mapping[str, Any], where: str) -> Iterator[UserError]:
    import jsonschema

    schema = json.loads((packaged_profiles() / SCHEMA).read_text(encoding="utf-8"))
    for error in jsonschema.Draft202012Validator(schema).iter_errors(plain):
        dotted = ".".join(str(part) for part in error.absolute_path)
        place = f"{where}: {dotted}" if dotted else where
        if error.validator == "additionalProperties" and error.validator_value is False:
            allowed = sorted(error.schema.get("properties", {}))
            for key in sorted(set(error.instance) - set(allowed)):
                yield UserError(place, f"unknown key {key!r}", allowed=allowed, got=key)
        elif error.validator == "enum":
            yield UserError(
                place, f"{error.instance!r} is not known", allowed=error.validator_value, got=str(error.instance)
            )
        else:
            yield UserError(place, error.message)


def _contradictions(plain: Mapping[str, Any], where: str) -> Iterator[UserError]:
    operations = sorted({*plain["mix"], *plain.get("polls", {})})
    for name, probe in plain.get("probes", {}).items():
        if probe["operation"] not in plain["mix"]:
            yield UserError(
                f"{where}: probes.{name}.operation",
                f"{probe['operation']!r} is not in the mix",
                allowed=sorted(plain["mix"]),
                got=probe["operation"],
            )
        if probe["after_s"][0] > probe["after_s"][1]:
            yield UserError(
                f"{where}: probes.{name}.after_s", f"{probe['after_s']}: the first must not exceed the second"
            )
    amounts = plain.get("amounts", NO_AMOUNTS)
    low, high = amounts.get("min_minor", 1), amounts.get("max_minor", 1_000_000)
    if not low <= amounts["median_minor"] <= high:
        yield UserError(f"{where}: amounts", f"median_minor {amounts['median_minor']} is outside {low} … {high}")
    for both in sorted(set(plain["mix"]) & set(plain.get("polls", {}))):
        yield UserError(f"{where}: polls.{both}", "an operation is in the mix or polled, not both", allowed=operations)
