"""Profiles: the shipped ones, look-up, and what is said about mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_finchaos.load.profile import load_profile, packaged_profiles, parse_profile
from pytest_finchaos.model.errors import UserError

MINIMAL = """
[arrivals]
process = "poisson"
[mix]
pay = 1
[amounts]
currency = "EUR"
median_minor = 100
sigma = 0.5
"""


def refused(text: str) -> str:
    with pytest.raises(UserError) as caught:
        parse_profile(text, name="p", where="p.toml")
    return str(caught.value)


def test_both_shipped_profiles_load_and_say_what_they_are_for() -> None:
    card, shop = load_profile("card_pos_auth"), load_profile("ecom_checkout")
    assert card.arrivals.process == "poisson"
    assert card.mix == {"authorise": 80, "balance": 10, "login": 5, "score": 5}
    assert card.polls == {"freshness": 0.5}
    assert (card.amounts.median_minor, card.amounts.sigma, card.amounts.currency) == (1200, 0.9, "EUR")
    assert card.late_replay is not None
    assert (card.late_replay.share, card.late_replay.after_s) == (0.08, (0.5, 2.0))
    assert card.retry.attempts == 3
    assert (shop.arrivals.process, shop.arrivals.burst_factor) == ("mmpp", 3.0)
    assert shop.amounts.sigma == 1.35
    assert shop.retry.attempts > card.retry.attempts
    assert card.description


def test_the_schema_lies_beside_the_profiles() -> None:
    assert (packaged_profiles() / "profile.schema.json").is_file()


def test_a_profile_in_a_given_folder_goes_before_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "card_pos_auth.toml").write_text(MINIMAL)
    assert load_profile("card_pos_auth", [tmp_path / "absent", tmp_path]).mix == {"pay": 1}


def test_an_unknown_profile_is_told_with_the_known_ones_and_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MINIMAL)
    with pytest.raises(UserError) as caught:
        load_profile("card_pos_aut", [tmp_path])
    assert caught.value.suggestion == "card_pos_auth"
    assert caught.value.allowed == ("card_pos_auth", "ecom_checkout", "mine")


@pytest.mark.parametrize("name", ["../card_pos_auth", "/etc/passwd", ""])
def test_a_name_is_never_a_path(name: str) -> None:
    with pytest.raises(UserError):
        load_profile(name)


def test_malformed_toml_is_told_with_its_file() -> None:
    assert "p.toml: not TOML" in refused("[arrivals")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[mix]", "[mixx]\na = 1\n[mix]"), "did you mean 'mix'"),
        (('"poisson"', '"poison"'), "did you mean 'poisson'"),
        (("sigma", "sigmma"), "did you mean 'sigma'"),
        (("median_minor = 100", "median_minor = 1.5"), "amounts.median_minor: 1.5 is not of type 'integer'"),
        (("pay = 1", "pay = 0"), "mix.pay: 0 is less than or equal to the minimum of 0"),
        (("pay = 1", 'pay = "much"'), "mix.pay: 'much' is not of type 'number'"),
        (("median_minor = 100", "median_minor = 100\nmax_minor = 50"), "outside 1 … 50"),
    ],
)
def test_a_mistake_is_told_with_place_and_cure(change: tuple[str, str], said: str) -> None:
    assert said in refused(MINIMAL.replace(*change))


def test_all_mistakes_are_told_together() -> None:
    text = refused(MINIMAL.replace("sigma", "sigmma").replace('"poisson"', '"poison"'))
    assert "'poisson'" in text
    assert "'sigma'" in text


def test_a_probe_of_an_operation_outside_the_mix_is_refused() -> None:
    probe = '[probes.late_replay]\noperation = "pays"\nshare = 0.1\nafter_s = [1, 2]\n'
    assert "did you mean 'pay'" in refused(MINIMAL + probe)
    assert "must not exceed" in refused(MINIMAL + probe.replace("pays", "pay").replace("[1, 2]", "[2, 1]"))


def test_an_operation_is_not_both_mixed_and_polled() -> None:
    assert "not both" in refused(MINIMAL + "[polls]\npay = { every_s = 1 }\n")


def test_a_profile_that_only_reads_needs_no_amounts_and_any_other_does() -> None:
    reads = 'arrivals = { process = "poisson" }\nmix = { balance = 1 }\n'

    assert parse_profile(reads + "reads_only = true\n", name="reads", where="reads.toml").reads_only
    with pytest.raises(UserError, match="'amounts' is a required property"):
        parse_profile(reads, name="reads", where="reads.toml")
