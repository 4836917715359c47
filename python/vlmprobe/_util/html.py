"""What an object shows of itself in a notebook: HTML in which every text of others is escaped.

No script, no style sheet and no address is in it, so nothing of it runs and nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from vlmprobe._util.visible import visible

LONGEST = 600
"""Characters of a text that are shown in a cell."""


class Html(str):
    """HTML that a notebook shows as it is."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return str(self)


def text(value: object) -> Html:
    """A value as text, escaped and cut; what nobody sees is shown as marks. `Html` stays what it is."""
    if isinstance(value, Html):
        return value
    shown = str(value)
    return Html(escape(visible(shown[:LONGEST])) + ("…" if len(shown) > LONGEST else ""))


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> Html:
    """A table; texts stand at the left, numbers at the right."""
    heads = "".join(f"<th>{text(each)}</th>" for each in head)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return Html(f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>")


def pairs(rows: Iterable[tuple[object, object]]) -> Html:
    """A table of two columns without heads: what, and how much of it."""
    body = "".join(f"<tr><th>{text(name)}</th>{_cell(value)}</tr>" for name, value in rows)
    return Html(f"<table><tbody>{body}</tbody></table>")


def titled(title: object, *parts: Html) -> Html:
    """Parts below a line of text."""
    return Html(f"<p>{text(title)}</p>{''.join(parts)}")


def percent(value: float | None) -> str:
    """A share as percent; a dash where it is not known."""
    return "–" if value is None or value != value else f"{100 * value:.1f} %"


def _cell(value: object) -> str:
    side = "right" if isinstance(value, int | float) else "left"
    return f'<td style="text-align:{side}">{text(value)}</td>'
