"""The prompts: plain files in `vlmprobe/prompts`, each of which a user can replace.

A prompt is text with placeholders such as `{question}`; other braces are text. What is put in comes from models, so
it is neutralised (`vlmprobe.text.neutralise`): it cannot close the tag in which it stands, nor open a turn.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from vlmprobe._util.json import read_text
from vlmprobe.text import neutralise

PLACEHOLDERS: Mapping[str, frozenset[str]] = {
    name: frozenset(places.split())
    for name, places in {
        "questioner": "k",
        "questioner_hint": "k hint",
        "answerer": "question",
        "validity": "question",
        "correctness": "question answer",
        "conme_first": "k",
        "conme_second": "k questions answers",
        "primitives": "questions",
        "primitives_again": "questions before",
        "topic_label": "primitives questions",
        "skills": "label questions skills",
        "meta_skills": "skills groups",
        "picture_tags": "",
    }.items()
}
"""What each prompt must hold; it may hold nothing else."""

FOLDER = Path(__file__).parents[1] / "prompts"
_PLACE = re.compile(r"\{([A-Za-z_]+)\}")


class PromptFiles:
    """All prompts of a run.

    Example:
        >>> PromptFiles.load().render("answerer", question="3 < 4?").splitlines()[-1]
        '3 ‹ 4?'
    """

    def __init__(self, texts: Mapping[str, str], *, replaced: Collection[str] = ()):
        self._texts = dict(texts)
        self.replaced = tuple(sorted(replaced))
        """Names of the prompts that are not the package's."""

    @classmethod
    def load(cls, directory: str | Path | None = None) -> PromptFiles:
        """The package's prompts; a file `<name>.txt` in the directory takes the place of the prompt of that name.

        Raises:
            ValueError: no such directory, a file of another name, a placeholder that is missing or unknown, a file
                that is empty or no UTF-8. Files whose names begin with a dot are passed over.
        """
        texts = {name: _read(FOLDER / f"{name}.txt", name) for name in PLACEHOLDERS}
        own = {} if directory is None else {_name(file): file for file in _files(Path(directory))}
        texts |= {name: _read(file, name) for name, file in own.items()}
        return cls(texts, replaced=own)

    def __getitem__(self, name: str) -> str:
        """The prompt with its placeholders, without line breaks at its ends."""
        if name not in self._texts:
            raise ValueError(f"[PromptFiles] name: expected a prompt, got {name!r:.60}{_nearest(name, PLACEHOLDERS)}")
        return self._texts[name]

    def sha256(self, name: str) -> str:
        """Of the prompt with its placeholders, hexadecimal."""
        return hashlib.sha256(self[name].encode()).hexdigest()

    def render(self, name: str, **values: str | int | Sequence[str]) -> str:
        """The prompt with everything in place; several texts are numbered: `<item_1>...</item_1>`, a line each.

        Raises:
            ValueError: values other than the prompt's placeholders.
        """
        text = self[name]
        if values.keys() != PLACEHOLDERS[name]:
            expected, got = (", ".join(sorted(names)) for names in (PLACEHOLDERS[name], values))
            raise ValueError(f"[PromptFiles.render] {name}: expected values for {expected}, got {got or 'none'}")
        return _PLACE.sub(lambda place: _quoted(values[place[1]]), text)  # one pass: what is put in is not read again

    def __repr__(self) -> str:
        own = f"; {', '.join(self.replaced)} replaced" if self.replaced else ""
        return f"PromptFiles({len(self._texts)} prompts{own})"


def _quoted(value: str | int | Sequence[str]) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return neutralise(value)
    return "\n".join(f"<item_{i}>{neutralise(each)}</item_{i}>" for i, each in enumerate(value, 1))


def _files(directory: Path) -> list[Path]:
    if not directory.is_dir():
        raise ValueError(f"[PromptFiles.load] directory: expected a folder, got {str(directory)!r}")
    return sorted(file for file in directory.iterdir() if not file.name.startswith("."))


def _name(file: Path) -> str:
    name = file.name.removesuffix(".txt")
    if name not in PLACEHOLDERS or name == file.name:
        hint = (
            _nearest(name, PLACEHOLDERS, ".txt") or f"; prompts are {', '.join(f'{each}.txt' for each in PLACEHOLDERS)}"
        )
        raise ValueError(f"[PromptFiles.load] {file}: expected the name of a prompt{hint}")
    return name


def _read(file: Path, name: str) -> str:
    text = read_text("PromptFiles.load", file).strip("\n")
    expected, found = PLACEHOLDERS[name], set(_PLACE.findall(text))
    for place in sorted(found - expected):
        known = {f"{{{each}}}" for each in expected}
        raise ValueError(
            f"[PromptFiles.load] {file}: expected {' and '.join(sorted(known))}, got {{{place}}} as well"
            f"{_nearest(f'{{{place}}}', known)}"
        )
    for place in sorted(expected - found):
        raise ValueError(f"[PromptFiles.load] {file}: expected {{{place}}} in it, got none")
    return text


def _nearest(name: str, known: Collection[str], ending: str = "") -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}{ending}?" if near else ""
