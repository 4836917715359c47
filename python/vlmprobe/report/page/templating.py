"""The template engine of the pages. Texts come from models and users: all are escaped, invisible characters shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vlmprobe.report.table import format

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_CODE = re.compile("`([^`<>&]+)`")


def coded(text: str) -> Markup:
    """A sentence with what stands between backticks as code; escaped, as every text is."""
    from markupsafe import Markup, escape

    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(format.plain(text)))))


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
