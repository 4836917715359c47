"""What nobody sees, in texts of models and names of files: shown as marks, and left out where texts are compared.

The characters are those of `include/vlmprobe/text/invisible.h`. Texts are stored as they are; only what is shown to
people or compared goes through here. Works without the C++ core, so that a message about the core can be printed.
"""

from __future__ import annotations

import functools
import re
import sys
from typing import TextIO

# Controls but for tab and line break, separators of lines, lone surrogates, what is no character.
_STEERING = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff"
_EMOJI = (
    "\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)
_CURSIVE = "\u0600-\u08ff\u0900-\u0dff"  # Arabic and Indic letters, whose shapes a joiner changes
_JOINING = (
    f"(?<=[{_EMOJI}\ufe0f])\u200d(?=[{_EMOJI}])|(?<=[{_EMOJI}])[\ufe0e\ufe0f]|(?<=[0-9#*])\ufe0f(?=\u20e3)"
    f"|(?<=[{_CURSIVE}])[\u200c\u200d](?=[{_CURSIVE}])"
)


def visible(text: str) -> str:
    r"""The text with marks in the place of what nobody sees, and of what steers a terminal or a page.

    Tabs and line breaks stay, and so do joiners where they join: in emoji, between Arabic or Indic letters.

    >>> visible("in\u00advisible \x1b[31mred")
    'in⟨U+00AD⟩visible ⟨U+001B⟩[31mred'
    """
    if text.isascii() and text.isprintable():
        return text
    return _shown().sub(lambda found: found[0] if found["joining"] else f"⟨U+{ord(found[0]):04X}⟩", text)


def bare(text: str) -> str:
    r"""The text without what nobody sees; texts that look alike are alike then. Controls stay.

    >>> bare("in\u00advisible")
    'invisible'
    """
    return text if text.isascii() else _unseen().sub("", text)


def is_blank(text: str) -> bool:
    """Whether there is nothing to see."""
    return not bare(text).strip()


def say(line: object, *, to: TextIO | None = None, flush: bool = False) -> None:
    """Prints a line as `visible` shows it, on stdout unless another stream is given. What the stream has no
    characters for is escaped."""
    stream = to or sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    shown = visible(str(line)).encode(encoding, "backslashreplace").decode(encoding)
    print(shown, file=stream, flush=flush)


@functools.cache
def _unseen_class() -> str:
    try:
        from vlmprobe import _core
    except ImportError:  # a broken installation is told of without the list
        return "\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e0fff"
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in _core.INVISIBLE)


@functools.cache
def _unseen() -> re.Pattern[str]:
    return re.compile(f"[{_unseen_class()}]")


@functools.cache
def _shown() -> re.Pattern[str]:
    return re.compile(f"(?P<joining>{_JOINING})|[{_STEERING}{_unseen_class()}]|\r(?!\n)")
