"""ConMe: two turns, the second of which knows what the answerer replied to the first.

First the model asks k questions (prompt `conme_first`), the answerer answers them, then the model sees questions and
replies and asks k harder ones (prompt `conme_second`). Only the second turn's questions are judged and counted; the
answerer's replies of the first turn cost calls (`Asked.calls`). Source: Huang et al., "ConMe", 2024; the paper's prompt
is not published, so both prompts are ours.

    ConMeAsker     a model that is asked by message
    PromptedTurns  a `Questioner` that follows prompts; it can be trained so
    WorldTurns     the embedded world's questioner; it can be trained so
    ConMe          the method, with any of them
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vlmprobe._util.checks import check_count
from vlmprobe.ledger import recorded
from vlmprobe.loop.examine import check_budget
from vlmprobe.methods.chat import ASKING, completions, sampled
from vlmprobe.methods.task import Task, ask_pool
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.models.model import Message, Model, Sampling
from vlmprobe.models.prompt_files import PromptFiles
from vlmprobe.models.protocols import Answerer, Picture
from vlmprobe.models.service import Call, Service
from vlmprobe.policy.asker import Asker, Completions, tagged
from vlmprobe.policy.preface import Beginnings
from vlmprobe.policy.questioner import Questioner
from vlmprobe.text import neutralise, parse_responses

TURN = 1 << 20  # steps of the second turn are apart from those of the first
LEARNED = 4  # questions of the longest completions that the world's questioner was taught


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
        return f"{self.model.identity} [{_named(self._prompts)}; {sampled(self._sampling)}]"

    def calls_at_most(self, *, k: int, group_size: int) -> int:
        """See `vlmprobe.policy.asker.AsksAnswerer`."""
        return k * group_size

    def with_model(self, model: Model) -> ConMeAsker:
        """The same, asking through another model; the answerer stays."""
        other = copy.copy(self)
        other.model = model
        return other

    def ask(self, images: Sequence[Picture], *, k: int, group_size: int = 1, seed: int, step: int) -> Completions:
        """See `vlmprobe.policy.asker.Asker`. An image whose first turn brought no question or no reply is left out.

        Raises:
            BudgetSpent: a model's budget did not last.
            Unserved: no completion at all came back, or no reply to a first turn.
        """
        check_count("ConMeAsker.ask", "k", k)
        first = self._prompts.render("conme_first", k=k)
        turns = [Message(role="user", text=first, images=[self._images(image)]) for image in images]
        said = completions(self.model, turns, group_size, self._sampling, seed=seed, step=step)
        firsts = [(image, text) for image, texts in enumerate(said) for text in texts]
        known, calls = answered(self._answerer, images, firsts, k, needed=True)
        image_of = {sequence: firsts[sequence][0] for sequence in sorted(known)}
        second = [
            Message(
                role="user", text=second_prompt(self._prompts, k, known[sequence]), images=[self._images(images[image])]
            )
            for sequence, image in image_of.items()
        ]
        harder = completions(self.model, second, 1, self._sampling, seed=seed, step=TURN + step) if second else []
        found: list[list[str]] = [[] for _ in images]
        for image, texts in zip(image_of.values(), harder, strict=True):
            found[image] += texts
        return Completions.of(found, calls=calls)


def answered(
    answerer: Answerer, images: Sequence[Picture], firsts: Sequence[tuple[int, str]], k: int, *, needed: bool = False
) -> tuple[dict[int, list[tuple[str, str]]], int]:
    """What the answerer replies to a first turn.

    Args:
        answerer: the model under test.
        images: of the step.
        firsts: image and text of each completion.
        k: questions per completion.
        needed: nothing is asked without these replies.

    Returns:
        Number of a completion to its questions with the replies, where there are any; and the calls.

    Raises:
        BudgetSpent: the answerer's budget did not last.
        Unserved: the replies are needed, and no call came through.
    """
    parsed = parse_responses([text for _, text in firsts], k=k)
    rows = zip(parsed.sequence.tolist(), parsed.text, parsed.ok.tolist(), strict=True)
    asked = [(sequence, question) for sequence, question, ok in rows if ok]
    shown = [images[firsts[sequence][0]] for sequence, _ in asked]
    replies = answerer.answer(shown, [question for _, question in asked]) if asked else []
    check_budget(answerer, replies)
    if needed:
        Service().check("answerer", answerer, [Call(reply.failure, reply.error) for reply in replies])
    known: dict[int, list[tuple[str, str]]] = {}
    for (sequence, question), reply in zip(asked, replies, strict=True):
        if reply.text is not None:
            known.setdefault(sequence, []).append((question, reply.text))
    return known, len(asked)


def second_prompt(prompts: PromptFiles, k: int, known: Sequence[tuple[str, str]]) -> str:
    """`conme_second` with the questions and replies of a first turn."""
    questions, answers = [question for question, _ in known], [answer for _, answer in known]
    return prompts.render("conme_second", k=k, questions=questions, answers=answers)


def _named(prompts: PromptFiles) -> str:
    return ", ".join(f"{name} {prompts.sha256(name)[:12]}" for name in ("conme_first", "conme_second"))


class _Turns:
    """A first turn of a questioner, one completion an image, and the answerer's replies to it."""

    def __init__(self, answerer: Answerer):
        self._answerer = answerer

    @staticmethod
    def calls_at_most(*, k: int) -> int:
        """See `vlmprobe.policy.questioner.Preface`."""
        return k

    def _known(
        self, questioner: Questioner, images: Sequence[Picture], k: int, seed: int, step: int
    ) -> tuple[list[list[tuple[str, str]]], int]:
        """[I] questions with replies, and the calls."""
        said = questioner.ask(images, k=k, group_size=1, seed=seed, step=TURN + step)
        known, calls = answered(self._answerer, images, list(enumerate(said.texts)), k)
        return [known.get(image, []) for image in range(len(images))], calls


class PromptedTurns(_Turns):
    """ConMe for a questioner that follows prompts, so that it can be trained: as `ConMeAsker`, with the prompts
    `conme_first` and `conme_second`. The completions of a group share their first turn. An image whose first turn
    brought no reply is asked about with the first prompt again.

    Args:
        answerer: the model under test.
        prompts: by default the package's.

    Example:
        >>> questioner.with_preface(PromptedTurns(answerer))  # doctest: +SKIP
    """

    def __init__(self, answerer: Answerer, *, prompts: PromptFiles | None = None):
        super().__init__(answerer)
        self._prompts = prompts or PromptFiles.load()

    @property
    def identity(self) -> str:
        """Names the prompts."""
        return _named(self._prompts)

    def __call__(
        self, questioner: Questioner, images: Sequence[Picture], *, k: int, seed: int, step: int
    ) -> Beginnings:
        """See `vlmprobe.policy.questioner.Preface`."""
        first = questioner.with_preface(None, prompt=self._prompts["conme_first"])
        known, calls = self._known(first, images, k, seed, step)
        again = self._prompts.render("conme_first", k=k)
        texts = [second_prompt(self._prompts, k, each) if each else again for each in known]
        return Beginnings(texts, [""] * len(images), [0] * len(images), calls)


class WorldTurns(_Turns):
    """ConMe for the embedded world's questioner, which knows no prompt but its own: its first turn stands at the
    beginning of the completion, each question with the answerer's reply behind it (`<response_1> is there a star ? no
    </response_1>`), and it goes on after that. It reads questions and replies but was never told what they are for, so
    what it makes of them it has to learn by reward. Because it was taught completions of up to `LEARNED` questions, the
    first turn has so many that both turns fit, and at least one.
    """

    identity = "conme in one completion"

    @staticmethod
    def calls_at_most(*, k: int) -> int:
        """See `vlmprobe.policy.questioner.Preface`."""
        return max(1, LEARNED - k)

    def __call__(
        self, questioner: Questioner, images: Sequence[Picture], *, k: int, seed: int, step: int
    ) -> Beginnings:
        """See `vlmprobe.policy.questioner.Preface`."""
        known, calls = self._known(questioner, images, self.calls_at_most(k=k), seed, step)
        prompts = [questioner.prompt.replace("{k}", str(len(each) + k)) for each in known]
        begun = [tagged([neutralise(f"{question} {reply}") for question, reply in each]) for each in known]
        return Beginnings(prompts, begun, [len(each) for each in known], calls)


@dataclass(frozen=True, kw_only=True)
class ConMe:
    """The method: nothing is trained, each question is the second of two turns.

    Args:
        asker: of the answerer under test, whoever asks in two turns:
            `lambda answerer: ConMeAsker(model, answerer)`, or
            `lambda answerer: questioner.with_preface(WorldTurns(answerer))`.
    """

    asker: Callable[[Answerer], Asker]
    name: str = "ConMe"

    def run(self, task: Task) -> Asker:
        """See `vlmprobe.methods.task.Method`. Replies of the first turns count in the budget."""
        asker = self.asker(recorded(task.answerer, task.ledger, role="answerer"))
        return ask_pool(asker, task, name=self.name)
