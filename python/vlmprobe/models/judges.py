"""An answerer and a verifier made of any model that is asked by message.

    ModelAnswerer   one request for each question; what fails stays a failure
    ModelVerifier   thinking first, then a verdict (`vlmprobe.models.verdict`); asked again where that cannot be read

Nothing here has a default verdict: what is not known is None, with a typed failure or a reason.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

from vlmprobe._util.checks import check_count, check_rows
from vlmprobe.models.asking import Asking, schema_of
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.models.model import (
    EncodedImage,
    Message,
    Model,
    ModelReply,
    Request,
    Sampling,
    Status,
    replies_of,
)
from vlmprobe.models.prompt_files import PromptFiles
from vlmprobe.models.protocols import Answerer, Picture, Verifier
from vlmprobe.models.replies import Criteria, Failure, Judgement, Reply
from vlmprobe.models.votes import Quota, Vote, poll

_Judge = TypeVar("_Judge", "ModelAnswerer", "ModelVerifier")

CRITERIA = ("grammatical", "atomic", "grounded", "objective")
CORRECTNESS = ("correct",)
VERDICT_TAG = "<verdict>"
ANSWERING = Sampling(temperature=0.0, max_tokens=256)
JUDGING = Sampling(temperature=0.6, top_p=0.95, max_tokens=4096)


class ModelAnswerer:
    """The model under test, behind `Model`. No question is asked twice.

    Args:
        model: what is asked.
        prompts: `answerer` is used; by default the package's.
        sampling: greedy by default.
        images: pictures already encoded, to share with a verifier.

    Example:
        >>> ModelAnswerer(client).answer(images, ["How many circles are there?"])  # doctest: +SKIP
        [Reply(text='two', failure=None)]
    """

    def __init__(
        self,
        model: Model,
        *,
        prompts: PromptFiles | None = None,
        sampling: Sampling = ANSWERING,
        images: EncodedImages | None = None,
    ):
        self.model, self._sampling = model, sampling
        self._prompts, self._images = prompts or PromptFiles.load(), images or EncodedImages()

    @property
    def identity(self) -> str:
        """The model's, with prompt and sampling."""
        return _identity(self.model, self._prompts, ("answerer",), self._sampling)

    @property
    def revision(self) -> str:
        """The model's; empty where it names none."""
        return _revision(self.model)

    @property
    def prompt_sha256(self) -> str:
        """Of the prompt."""
        return self._prompts.sha256("answerer")

    @property
    def sampling(self) -> dict[str, Any]:
        """How answers are drawn."""
        return dataclasses.asdict(self._sampling)

    def with_model(self, model: Model) -> ModelAnswerer:
        """The same, asking another model."""
        return _asking(self, model)

    def answer(self, images: Sequence[Picture], questions: Sequence[str]) -> list[Reply]:
        """See `vlmprobe.models.protocols.Answerer`. The answer is the text of the reply, as it is, but for thinking
        that the model left in it; where a picture cannot be read, a failure."""
        check_rows("ModelAnswerer.answer", "questions", len(images), questions)
        shown = _shown(self._images.each(images))
        requests = [
            Request(
                messages=[_turn(self._prompts.render("answerer", question=questions[i]), image)],
                sampling=self._sampling,
                id=f"answer-{i}",
            )
            for i, image in shown.items()
        ]
        replies = dict(zip(shown, replies_of(self.model, requests), strict=True))
        unread = Reply(failure=Failure.REJECTED)
        return [_answer_of(replies[i]) if i in replies else unread for i in range(len(images))]

    def __repr__(self) -> str:
        return f"ModelAnswerer({self.identity})"


class ModelVerifier:
    """The judge, behind `Model`.

    Args:
        model: what is asked.
        prompts: `validity` and `correctness` are used; by default the package's. They ask for `<verdict>` tags, unless
            there is a schema: only what stands in them is read (`vlmprobe.models.verdict`).
        sampling: by default as reasoning models are usually sampled.
        schema: whether to ask the server for a JSON object, which is read as well then. Only for models whose thinking
            comes apart from their text, and servers that hold to it.
        votes: of each question and each answer; truth is what more than half of them say (`vlmprobe.models.votes`).
        confirm: further votes on an answer that the first one calls wrong, and on nothing else; for training.
        again: how often a verdict that cannot be read is asked for again.
        more_tokens: a reply that is empty or cut is asked for once more, with this many times the tokens.
        images: pictures already encoded, to share with an answerer.

    Raises:
        ValueError: both votes and confirm; several votes at temperature 0, which would all be the same; a prompt that
            does not ask for tags, without a schema.

    Example:
        >>> ModelVerifier(client, confirm=2).correctness(images, questions, answers)  # doctest: +SKIP
        [Judgement(correct=False, reason='[2 of 2 votes agree] there are three', failure=None)]
    """

    def __init__(
        self,
        model: Model,
        *,
        prompts: PromptFiles | None = None,
        sampling: Sampling = JUDGING,
        schema: bool = False,
        votes: int = 1,
        confirm: int = 0,
        again: int = 1,
        more_tokens: int = 4,
        images: EncodedImages | None = None,
    ):
        check_count("ModelVerifier", "votes", votes)
        check_count("ModelVerifier", "more_tokens", more_tokens)
        for name, number in (("confirm", confirm), ("again", again)):
            if number < 0:
                raise ValueError(f"[ModelVerifier] {name}: expected at least 0, got {number}")
        if votes > 1 and confirm:
            raise ValueError(f"[ModelVerifier] confirm: expected 0 with votes={votes}, got {confirm}")
        if (votes > 1 or confirm) and sampling.temperature == 0:
            raise ValueError("[ModelVerifier] sampling: expected a temperature above 0 with several votes, got 0")
        self.model, self._sampling, self._schema = model, sampling, schema
        self._votes, self._confirm, self._again, self._more_tokens = votes, confirm, again, more_tokens
        self._prompts, self._images = prompts or PromptFiles.load(), images or EncodedImages()
        self._check_asked()

    def _check_asked(self) -> None:
        """Whoever is not told where to say it may say it anywhere, and so may whoever it quotes."""
        for name in () if self._schema else ("validity", "correctness"):
            if VERDICT_TAG not in self._prompts[name].lower():
                raise ValueError(
                    f"[ModelVerifier] prompts: expected {name}.txt to ask for {VERDICT_TAG}...</verdict>, got a prompt "
                    "without them; or schema=True, where the server holds replies to a schema"
                )

    @property
    def identity(self) -> str:
        """The model's, with prompts, sampling and votes."""
        votes = f"; votes={self._votes}, confirm={self._confirm}" if self._votes > 1 or self._confirm else ""
        schema = "; schema" if self._schema else ""
        return _identity(self.model, self._prompts, ("validity", "correctness"), self._sampling, votes + schema)

    @property
    def revision(self) -> str:
        """The model's; empty where it names none."""
        return _revision(self.model)

    @property
    def prompt_sha256(self) -> str:
        """Of both prompts: validity, then correctness, with a blank between."""
        return " ".join(self._prompts.sha256(name) for name in ("validity", "correctness"))

    @property
    def sampling(self) -> dict[str, Any]:
        """How verdicts are drawn, and how many votes there are."""
        votes = {"votes": self._votes, "confirm": self._confirm, "again": self._again, "more_tokens": self._more_tokens}
        return dataclasses.asdict(self._sampling) | votes | {"schema": self._schema}

    def with_model(self, model: Model) -> ModelVerifier:
        """The same, asking another model."""
        return _asking(self, model)

    def validity(self, images: Sequence[Picture], questions: Sequence[str]) -> list[Criteria]:
        """See `vlmprobe.models.protocols.Verifier`."""
        check_rows("ModelVerifier.validity", "questions", len(images), questions)
        encoded = self._images.each(images)
        shown = _shown(encoded)
        turns = [_turn(self._prompts.render("validity", question=questions[i]), image) for i, image in shown.items()]
        votes = self._poll(turns, [questions[i] for i in shown], "validity", CRITERIA, Quota(votes=self._votes))
        return [Criteria(**fields) for fields in _spread(encoded, votes)]

    def correctness(
        self, images: Sequence[Picture], questions: Sequence[str], answers: Sequence[str]
    ) -> list[Judgement]:
        """See `vlmprobe.models.protocols.Verifier`."""
        check_rows("ModelVerifier.correctness", "questions", len(images), questions)
        check_rows("ModelVerifier.correctness", "answers", len(images), answers)
        encoded = self._images.each(images)
        shown = _shown(encoded)
        turns = [
            _turn(self._prompts.render("correctness", question=questions[i], answer=answers[i]), image)
            for i, image in shown.items()
        ]
        quoted = [f"{questions[i]}\n{answers[i]}" for i in shown]
        votes = self._poll(turns, quoted, "correctness", CORRECTNESS, Quota(votes=self._votes, confirm=self._confirm))
        return [Judgement(**fields) for fields in _spread(encoded, votes)]

    def own_answers(self, images: Sequence[Picture], questions: Sequence[str]) -> list[Reply]:
        """What the judge answers itself, by the prompt `answerer` (`vlmprobe.probe.own_answers`)."""
        asking = ModelAnswerer(self.model, prompts=self._prompts, sampling=self._sampling, images=self._images)
        return asking.answer(images, questions)

    def _poll(
        self, turns: Sequence[Message], quoted: Sequence[str], role: str, keys: Sequence[str], quota: Quota
    ) -> list[Vote]:
        def ask(places: list[int], number: int) -> list[Vote]:
            requests = {i: self._request(turns[i], f"{role}-{i}", keys, number) for i in places}
            tries = [Asking(request=request, quoted=quoted[i]) for i, request in requests.items()]
            return self._readable(tries, keys)

        return poll(ask, len(turns), quota)

    def _request(self, turn: Message, id: str, keys: Sequence[str], vote: int) -> Request:
        sampling = self._sampling
        if sampling.seed is not None:
            sampling = dataclasses.replace(sampling, seed=sampling.seed + vote)
        return Request(
            messages=[turn], sampling=sampling, schema=schema_of(keys) if self._schema else "", id=id, vote=vote
        )

    def _readable(self, tries: Sequence[Asking], keys: Sequence[str]) -> list[Vote]:
        """Asks until nothing is left that may be asked again."""
        waiting = list(tries)
        while waiting:
            replies = replies_of(self.model, [each.request for each in waiting])
            for each, reply in zip(waiting, replies, strict=True):
                each.hear(reply, keys, again=self._again, more_tokens=self._more_tokens)
            waiting = [each for each in waiting if each.open]
        return [each.vote for each in tries]

    def __repr__(self) -> str:
        return f"ModelVerifier({self.identity})"


def check_other_model(answerer: Answerer, verifier: Verifier, *, allow_same_model: bool = False) -> None:
    """A model does not grade itself, unless that is wanted. Owners, revisions, prompts and sampling make no other one.

    Raises:
        ValueError: both have one name.
    """
    name = model_name(verifier.identity)
    if not allow_same_model and name.casefold() == model_name(answerer.identity).casefold():
        raise ValueError(
            f"[verifier] expected another model than the answerer, got {name!r} for both; "
            "allow_same_model=True lets it grade itself"
        )


def model_name(identity: str) -> str:
    """`name` of `owner/name@revision [prompts; sampling]`."""
    named = identity.split(" [", 1)[0]
    return (named.rpartition("@")[0] or named).rpartition("/")[2]


def _asking(judge: _Judge, model: Model) -> _Judge:
    other = copy.copy(judge)
    other.model = model
    return other


def _revision(model: Model) -> str:
    return model.identity.rpartition("@")[2] if "@" in model.identity else ""


def _identity(model: Model, prompts: PromptFiles, names: Sequence[str], sampling: Sampling, more: str = "") -> str:
    hashes = ", ".join(f"{name} {prompts.sha256(name)[:12]}" for name in names)
    numbers = f"t={sampling.temperature:g}, top_p={sampling.top_p:g}, n={sampling.max_tokens}"
    seed = "" if sampling.seed is None else f", seed={sampling.seed}"
    return f"{model.identity} [{hashes}; {numbers}{seed}{more}]"


def _shown(encoded: Sequence[EncodedImage | ValueError]) -> dict[int, EncodedImage]:
    """Row to picture, where there is one."""
    return {i: image for i, image in enumerate(encoded) if isinstance(image, EncodedImage)}


def _spread(encoded: Sequence[EncodedImage | ValueError], votes: Sequence[Vote]) -> list[dict[str, Any]]:
    """The votes on the rows that have a picture, and a failure that names it on the others."""
    left = iter(votes)
    return [
        {"reason": str(image), "failure": Failure.REJECTED} if isinstance(image, ValueError) else _fields(next(left))
        for image in encoded
    ]


def _fields(vote: Vote) -> dict[str, Any]:
    return {**vote.truths, "reason": vote.reason, "failure": vote.failure}


def _turn(text: str, image: EncodedImage) -> Message:
    return Message(role="user", text=text, images=[image])


def _answer_of(reply: ModelReply) -> Reply:
    if reply.status != Status.OK:
        return Reply(failure=Failure(reply.status.value), error=reply.error)
    return Reply.of(reply.text)
