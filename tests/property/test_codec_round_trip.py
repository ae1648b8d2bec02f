"""Every dataclass of the model, and those that cross a process border, come back equal from the codec."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import pkgutil
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_finchaos import model
from pytest_finchaos.runtime import codec
from pytest_finchaos.runtime.clock import Anchor
from pytest_finchaos.runtime.undo import UndoRecord

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**70), 2**70),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(max_size=12),
    bool: st.booleans(),
    type(None): st.none(),
    Path: st.sampled_from([Path("a/b"), Path("/x y/ü")]),
    Any: PLAIN,
}


def of(kind: Any, within: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    """Values of an annotation; small ones, a whole run has hundreds of fields; what holds its like does so twice."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in SCALARS:
        return SCALARS[kind]
    if origin in (typing.Union, types.UnionType):
        return st.one_of([of(each, within) for each in arguments])
    if dataclasses.is_dataclass(kind):
        if within.count(kind) > 1:
            return st.nothing()
        within = (*within, kind)
        hints = typing.get_type_hints(kind)
        values = {each.name: of(hints[each.name], within) for each in dataclasses.fields(kind)}
        return st.builds(typing.cast("Any", kind), **values)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return st.sampled_from(list(kind))
    if origin is tuple and arguments[1:] == (Ellipsis,):
        return st.lists(of(arguments[0], within), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*(of(each, within) for each in arguments))
    if origin is frozenset:
        return st.frozensets(of(arguments[0], within), max_size=2)
    if origin is not None and issubclass(origin, Mapping):
        return st.dictionaries(of(arguments[0], within), of(arguments[1], within), max_size=2)
    raise TypeError(f"no values for {kind}: teach this test")


def dataclasses_of_the_model() -> list[type]:
    found: dict[str, type] = {"Anchor": Anchor, "UndoRecord": UndoRecord}
    for module in pkgutil.iter_modules(model.__path__):
        names = vars(importlib.import_module(f"{model.__name__}.{module.name}"))
        found |= {
            name: value for name, value in names.items() if isinstance(value, type) and dataclasses.is_dataclass(value)
        }
    return [found[name] for name in sorted(found)]


def test_the_model_was_found() -> None:
    names = {kind.__name__ for kind in dataclasses_of_the_model()}

    assert {"RunResult", "History", "EnvironmentSpec", "MoneyReport", "Judged", "UndoRecord"} <= names


@pytest.mark.parametrize("kind", dataclasses_of_the_model(), ids=lambda kind: kind.__name__)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_was_written_is_read_back_equal(kind: Any, data: st.DataObject) -> None:
    value = data.draw(of(kind))

    text = codec.dumps(value)

    assert codec.loads(kind, text) == value
    assert codec.dumps(codec.loads(kind, text)) == text
