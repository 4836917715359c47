"""Drawing with matplotlib into SVG that is the same on every machine: as a file of its own, or inside a page in the
page's colours. Colours are drawn as stand-ins and replaced afterwards."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

from vlmprobe.report.table.format import line

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

# role -> (light, dark); the lines are Okabe and Ito's colours, moved to be read on either ground.
PALETTE: dict[str, tuple[str, str]] = {
    "ground": ("#ffffff", "#121417"),
    "ink": ("#16191d", "#e6e8eb"),
    "muted": ("#626a73", "#9aa2ab"),
    "rule": ("#e1e4e8", "#2c3137"),
    "failure": ("#b23a1e", "#f2896b"),
    "line-0": ("#0072b2", "#5ab0e6"),
    "line-1": ("#d55e00", "#f28c4b"),
    "line-2": ("#009e73", "#3ecfa5"),
    "line-3": ("#a8508f", "#dd8fc4"),
    "line-4": ("#c98500", "#f2c14e"),
    "line-5": ("#3f9fd6", "#a5daf7"),
    "line-6": ("#16191d", "#e6e8eb"),
    "line-7": ("#7a5230", "#c7a07a"),
}
LINES = tuple(role for role in PALETTE if role.startswith("line-"))
_STAND_INS = {role: f"#0102{number:02x}" for number, role in enumerate(PALETTE, start=3)}
_FONT = 9.0

_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # texts of others may hold dollar signs
    "font.size": _FONT,
    "axes.facecolor": "none",
    "axes.edgecolor": _STAND_INS["rule"],
    "axes.labelcolor": _STAND_INS["muted"],
    "text.color": _STAND_INS["ink"],
    "xtick.color": _STAND_INS["muted"],
    "ytick.color": _STAND_INS["ink"],
}


def colour(role: str) -> str:
    """What to draw with, for one of `PALETTE`."""
    return _STAND_INS[role]


@contextmanager
def canvas(name: str, width: float, height: float) -> Iterator[Canvas]:
    """An empty drawing of `width` x `height` inches, in the house's style whatever the user's own is.

    Everything is drawn and saved inside the `with`; `name` makes the ids.
    """
    import warnings

    import matplotlib.style
    from matplotlib.figure import Figure

    with matplotlib.style.context(["default", {**_STYLE, "svg.hashsalt": name}]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the text stays text
        yield Figure(figsize=(width, height), facecolor=colour("ground"))


def axes(figure: Canvas, left: float, bottom: float, width: float, height: float, **options: Any) -> Any:
    """Axes at a place in inches, without a frame."""
    wide, high = figure.get_size_inches()
    made = figure.add_axes((left / wide, bottom / high, width / wide, height / high), **options)
    made.spines[["top", "right", "left"]].set_visible(False)
    made.tick_params(length=0, pad=5)
    made.set_axisbelow(True)
    return made


def write(figure: Canvas, left: float, bottom: float, text: str, role: str = "ink", **options: Any) -> None:
    """A text at a place in inches from the lower left corner."""
    wide, high = figure.get_size_inches()
    figure.text(left / wide, bottom / high, text, color=colour(role), **options)


def width_of(texts: list[str]) -> float:
    """Inches that the longest of the texts needs, by its number of characters."""
    return max(map(len, texts), default=0) * _FONT * 0.6 / 72


def saved(figure: Canvas) -> str:
    """The drawing as SVG with stand-ins for colours."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", facecolor=colour("ground"), metadata={"Date": None})
    svg = re.sub(r"<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)
    return re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)


def standalone(svg: str, title: str) -> str:
    """A file of its own, in light colours on a white ground."""
    svg = _in_tags(svg, lambda tag: _coloured(tag, {role: light for role, (light, _) in PALETTE.items()}))
    return re.sub(r"(<svg[^>]*>)", lambda match: f"{match[1]}\n <title>{escape(title)}</title>", svg, count=1)


def inline(svg: str, name: str, title: str) -> str:
    """For the page: its colours, ids that are unique in it, nothing that only a file of its own needs."""

    def fitted(tag: str) -> str:
        tag = re.sub(r'\bid="', f'id="{name}-', tag)
        tag = tag.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
        return _coloured(tag, {role: f"var(--{role})" for role in PALETTE})

    svg = _in_tags(svg[svg.index("<svg") :], fitted)
    told = escape(line(title))
    head = re.compile(r'<svg[^>]*?(viewBox="[^"]*")[^>]*>')
    return head.sub(lambda match: f'<svg {match[1]} role="img" aria-label="{told}">', svg, count=1)


def palette() -> str:
    """The colours of lines as variables of the page's style sheet, on either ground and in print."""
    light, dark = (" ".join(f"--{role}: {PALETTE[role][ground]};" for role in LINES) for ground in (0, 1))
    return (
        f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
        f"@media print {{ :root {{ {light} }} }}"
    )


def _in_tags(svg: str, change: Any) -> str:
    """Changes the tags and leaves the texts between them."""
    return re.sub(r"<[^>]*>", lambda match: change(match[0]), svg)


def _coloured(tag: str, colours: dict[str, str]) -> str:
    for role, stand_in in _STAND_INS.items():
        tag = tag.replace(stand_in, colours[role])
    return tag
