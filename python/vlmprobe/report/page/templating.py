"""The template engine of the pages. Texts come from models and users: all are escaped, invisible characters shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlmprobe.report.table import format

if TYPE_CHECKING:
    from jinja2 import Environment


def templates() -> Environment:
    """The environment of the package's templates; a name that a page does not set is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def shown(value: object) -> object:
        return format.plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    return Environment(
        loader=PackageLoader("vlmprobe.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
