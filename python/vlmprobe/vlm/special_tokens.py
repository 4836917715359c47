"""Tokens that mean more to a model than their letters: where texts and turns end, pictures, roles, padding.

Three rules have their home here: which tokens end a text, which of them ends a turn, and that text from outside stays
text. A question that spells "<|im_end|>", "[INST]" or "<|image_pad|>" is shown to the model with a blank in the
spelling, so that no tokenizer makes a token of it; a text without one is left as it is, to the byte.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from vlmprobe.text import said

_PICTURES = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
_OUR_TAGS = re.compile(r"</?(response_\d|think|thinking)>")  # words of our own prompts and completions


class _KeptOut(NamedTuple):
    """Tokens that no text may become."""

    ids: set[int]
    spelling: re.Pattern[str]
    """What spells one, in any case."""


class SpecialTokens:
    """The special tokens of a model.

    Args:
        model: of transformers.
        processor: its tokenizer, and the chat template.

    Raises:
        ValueError: nothing says which token ends a text.
    """

    def __init__(self, model: Any, processor: Any):
        self._processor, self._tokenizer = processor, processor.tokenizer
        vocabulary = model.config.get_text_config().vocab_size
        added = getattr(self._tokenizer, "added_tokens_decoder", {})
        template = _template_of(processor)
        marks = {mark for name in _PICTURES if (mark := getattr(model.config, name, None)) is not None}
        special = set(self._tokenizer.all_special_ids) | marks
        steering = special | {i for i, token in added.items() if _steers(token, template)}
        unknown = {self._tokenizer.unk_token_id}  # any word that the tokenizer lacks
        turn_end, known = self._turn_end(steering - unknown), self._known_ends(model, vocabulary)
        self.ends = sorted({*known, *([] if turn_end is None else [turn_end])})
        """All ids that end a text, ascending."""
        self.end = self._given_end(turn_end, known)
        """What ends a given completion: the end of a turn."""
        self.pad = self.end if self._tokenizer.pad_token_id is None else self._tokenizer.pad_token_id
        """What fills up after an end; it is masked, whatever it is."""
        padding = range(len(self._tokenizer), vocabulary)
        self.banned = sorted((special | set(padding)) - set(self.ends))
        """Ids that no completion may hold: special tokens (one of a picture crashes the next forward pass) and the ids
        beyond the tokenizer that pad the vocabulary."""
        self._silent = {i for i in self._tokenizer.all_special_ids if not _marks_thinking(self._word(i) or "")}
        self._fixed = self._kept_out((special - unknown) | set(self.ends))
        self._steering = self._kept_out((steering - unknown) | set(self.ends))
        self._image = marks & {getattr(processor, "image_token_id", None), getattr(model.config, _PICTURES[0], None)}
        self._placeholders = [word for mark in marks if (word := self._word(mark))]

    def as_text(self, texts: Sequence[str]) -> list[str]:
        """Texts of which the tokenizer makes no special token, or none that steers; those that spell none come back as
        they are. What UTF-8 cannot hold becomes "?"."""
        return self._apart(texts, self._steering)

    def as_said(self, texts: Sequence[str]) -> list[str]:
        """The same of completions, which may hold what a model may say: added tokens that are not special."""
        return self._apart(texts, self._fixed)

    def _apart(self, texts: Sequence[str], out: _KeptOut) -> list[str]:
        plain = [text.encode("utf-8", "replace").decode() for text in texts]
        changes: tuple[Callable[[str], str], ...] = (str, _folded)  # where the tokenizer folds what it reads, so is it
        for change in changes:
            spelled = self._spelled(plain, self.encode(plain), out)
            if not any(spelled):
                break
            plain = [
                out.spelling.sub(_blank_inside, change(text)) if wrong else text
                for text, wrong in zip(plain, spelled, strict=True)
            ]
        return plain

    def _spelled(self, texts: Sequence[str], ids: Sequence[Sequence[int]], out: _KeptOut) -> list[bool]:
        return [
            not out.ids.isdisjoint(row) or any(word in text for word in self._placeholders)
            for text, row in zip(texts, ids, strict=True)
        ]

    def wrong(self, texts: Sequence[str], *, room: int, said: bool = False) -> dict[int, str]:
        """Places of texts, or completions, that tokens could not be kept out of, or that alone fill `room`; and why."""
        ids, found = self.encode(texts), {}
        for i, spelled in enumerate(self._spelled(texts, ids, self._fixed if said else self._steering)):
            if spelled:
                found[i] = "the text: expected none of the tokenizer's special tokens in it"
            elif len(ids[i]) >= room:
                found[i] = f"the text: expected fewer than {room} tokens with the picture's, got {len(ids[i])}"
        return found

    def encode(self, texts: Sequence[str], *, whole: bool = False) -> list[list[int]]:
        """The ids of each text; of `whole` ones with what the tokenizer itself puts around a prompt."""
        return self._tokenizer(list(texts), add_special_tokens=whole, verbose=False)["input_ids"] if texts else []

    def count(self, ids: Iterable[int]) -> Counter[int]:
        """The special tokens of a prompt, those of pictures left out."""
        return Counter(i for i in ids if i in self._fixed.ids and i not in self._image)

    def pictures(self, ids: Iterable[int]) -> int:
        """The tokens of a prompt that stand for a piece of a picture."""
        return sum(i in self._image for i in ids)

    def until_end(self, ids: Sequence[int]) -> list[int]:
        """A completion without its end and what fills up behind it."""
        return list(ids[: next((at for at, i in enumerate(ids) if i in self.ends), len(ids))])

    def spoken(self, ids: Sequence[int]) -> list[int]:
        """A completion without its end and without special tokens, but for marks of thinking: they say what is an
        answer."""
        return [i for i in self.until_end(ids) if i not in self._silent]

    def _known_ends(self, model: Any, vocabulary: int) -> list[int]:
        """The ends that tokenizer, generation settings and configuration name, in this order."""
        named: list[int] = []
        holders = (self._tokenizer, model.generation_config, model.config, model.config.get_text_config())
        for value in (getattr(holder, "eos_token_id", None) for holder in holders):
            named += [] if value is None else [value] if isinstance(value, int) else value
        return [i for i in dict.fromkeys(named) if 0 <= i < vocabulary]

    def _given_end(self, turn_end: int | None, known: Sequence[int]) -> int:
        """The template's end of a turn; else the tokenizer's; else the first that does not pad as well."""
        pad, eos = self._tokenizer.pad_token_id, self._tokenizer.eos_token_id
        order = [turn_end, eos, *(i for i in known if i != pad), *known]
        found = next((i for i in order if i is not None), None)
        if found is None:
            raise ValueError(
                "[VisionLanguageModel] model: expected an end of text in the chat template, the tokenizer or the "
                "generation settings, got none"
            )
        return found

    def _turn_end(self, steering: set[int]) -> int | None:
        """What the chat template writes after an assistant's turn; None where it writes no such token."""
        asked, said = "vlmprobe asks", "vlmprobe said"
        for content in (lambda text: [{"type": "text", "text": text}], str):
            turns = [{"role": "user", "content": content(asked)}, {"role": "assistant", "content": content(said)}]
            try:
                chat = self._processor.apply_chat_template(turns, tokenize=False)
            except Exception:  # a template may raise what it likes, and there may be none
                continue
            _, found, tail = chat.rpartition(said)
            if found:
                return next((i for i in self.encode([tail])[0] if i in steering), None)
        return None

    def _kept_out(self, ids: set[int]) -> _KeptOut:
        words = {word.strip() for i in ids if (word := self._word(i))} - {""}
        longest_first = sorted(words, key=lambda word: (-len(word), word))
        return _KeptOut(ids, re.compile("|".join(map(re.escape, longest_first)) or "(?!)", re.IGNORECASE))

    def _word(self, token: int) -> str | None:
        return self._tokenizer.convert_ids_to_tokens(token) if 0 <= token < len(self._tokenizer) else None


def _marks_thinking(word: str) -> bool:
    """Whether it opens or closes a thinking."""
    return said(word) != word


def _steers(token: Any, template: str) -> bool:
    """Whether an added token steers: it is called special, or has marks that words have not, or capitals alone, or the
    chat template writes it. Blanks, single characters and our own tags are words."""
    text = token.content.replace("▁", " ").strip()
    if token.special:
        return True
    if len(text) < 2 or _OUR_TAGS.fullmatch(text):
        return False
    if not text.isalnum() or text.isupper():
        return True
    return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", template) is not None


def _template_of(processor: Any) -> str:
    template = getattr(processor, "chat_template", None) or getattr(processor.tokenizer, "chat_template", None) or ""
    return template if isinstance(template, str) else "\0".join(template.values())


def _blank_inside(found: re.Match[str]) -> str:
    return f"{found[0][0]} {found[0][1:]}" if len(found[0]) > 1 else " "


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text)
