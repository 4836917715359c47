"""ConMe: two turns, the second of which knows what the answerer replied to the first.

First the model asks k questions (prompt `conme_first`), the answerer answers them, then the model sees questions and
replies and asks k harder ones (prompt `conme_second`). Only the second turn's questions are judged and counted; the
answerer's replies of the first turn cost calls (`Asked.calls`). Source: Huang et al., "ConMe", 2024; the paper's prompt
is not published, so both prompts are ours.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from vlmprobe._checks import check_count
from vlmprobe.asked import Completions
from vlmprobe.examine import check_budget
from vlmprobe.methods.chat import ASKING, completions, sampled
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.models.model import Message, Model, Sampling
from vlmprobe.models.prompt_files import PromptFiles
from vlmprobe.models.protocols import Answerer, Picture
from vlmprobe.text import parse_responses

TURN = 1 << 20  # steps of the second turn are apart from those of the first


class ConMeAsker:
    """A model that is told to ask, twice.

    Args:
        model: who asks.
        answerer: the model under test, whose first replies the second turn sees; on a `RecordedModel` if they are to
            be in the ledger.
        prompts: `conme_first` and `conme_second` are used; by default the package's.
        sampling, images: as in `ChatAsker`.
    """

    def __init__(
        self,
        model: Model,
        answerer: Answerer,
        *,
        prompts: PromptFiles | None = None,
        sampling: Sampling = ASKING,
        images: EncodedImages | None = None,
    ):
        self.model, self._answerer, self._sampling = model, answerer, sampling
        self._prompts, self._images = prompts or PromptFiles.load(), images or EncodedImages()

    @property
    def identity(self) -> str:
        """The model's, with prompts and temperature."""
        hashes = ", ".join(f"{name} {self._prompts.sha256(name)[:12]}" for name in ("conme_first", "conme_second"))
        return f"{self.model.identity} [{hashes}; {sampled(self._sampling)}]"

    def with_model(self, model: Model) -> ConMeAsker:
        """The same, asking through another model; the answerer stays."""
        other = copy.copy(self)
        other.model = model
        return other

    def ask(self, images: Sequence[Picture], *, k: int, group_size: int = 1, seed: int, step: int) -> Completions:
        """See `vlmprobe.asked.Asker`. An image whose first turn brought no question or no reply is left out.

        Raises:
            BudgetSpent: a model's budget did not last.
            RuntimeError: no completion at all came back.
        """
        check_count("ConMeAsker.ask", "k", k)
        first = self._prompts.render("conme_first", k=k)
        turns = [Message(role="user", text=first, images=[self._images(image)]) for image in images]
        said = completions(self.model, turns, group_size, self._sampling, seed=seed, step=step)
        firsts = [(image, text) for image, texts in enumerate(said) for text in texts]
        known, calls = self._answered(images, firsts, k)
        image_of = {sequence: firsts[sequence][0] for sequence in sorted(known)}
        second = [
            Message(role="user", text=self._second(k, known[sequence]), images=[self._images(images[image])])
            for sequence, image in image_of.items()
        ]
        harder = completions(self.model, second, 1, self._sampling, seed=seed, step=TURN + step) if second else []
        found: list[list[str]] = [[] for _ in images]
        for image, texts in zip(image_of.values(), harder, strict=True):
            found[image] += texts
        return Completions.of(found, calls=calls)

    def _answered(
        self, images: Sequence[Picture], firsts: Sequence[tuple[int, str]], k: int
    ) -> tuple[dict[int, list[tuple[str, str]]], int]:
        """Of the first turn's completions, by number: questions with the answerer's replies; and the calls."""
        parsed = parse_responses([text for _, text in firsts], k=k)
        rows = zip(parsed.sequence.tolist(), parsed.text, parsed.ok.tolist(), strict=True)
        asked = [(sequence, question) for sequence, question, ok in rows if ok]
        shown = [images[firsts[sequence][0]] for sequence, _ in asked]
        replies = self._answerer.answer(shown, [question for _, question in asked]) if asked else []
        check_budget(self._answerer, replies)
        known: dict[int, list[tuple[str, str]]] = {}
        for (sequence, question), reply in zip(asked, replies, strict=True):
            if reply.text is not None:
                known.setdefault(sequence, []).append((question, reply.text))
        return known, len(asked)

    def _second(self, k: int, known: Sequence[tuple[str, str]]) -> str:
        questions, answers = [question for question, _ in known], [answer for _, answer in known]
        return self._prompts.render("conme_second", k=k, questions=questions, answers=answers)
