"""How every page is made from its template: escaping on, nothing undefined passed over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2


def templates(filters: Mapping[str, Callable[..., Any]]) -> jinja2.Environment:
    """The package's templates, with a page's own filters."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pytest_finchaos.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    return environment
