"""How the model that labels is asked: in batches, once more where a reply is of no use, and never past an outage.

A reply is of use when it ends in a JSON object that fits the question. Prose, nothing, or an object that does not fit
is asked for once more with what was wrong; after that the request is skipped and counted. An outage and a spent
budget end the stage (`Unserved`, `BudgetSpent`): what was replied is in the ledger, and the same call goes on from
there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from vlmprobe._util.json import parse
from vlmprobe.data.image import SourceGone
from vlmprobe.ledger import Ledger, RecordedModel, made_or_not
from vlmprobe.ledger.requests import extra_of, request_key
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.models.model import Message, Model, ModelReply, Request, Sampling, Status, replies_of
from vlmprobe.models.prompt_files import PromptFiles
from vlmprobe.models.protocols import Picture
from vlmprobe.models.service import BudgetSpent, Unserved, located, one_line

T = TypeVar("T")
LABELLING = Sampling(temperature=0.0, max_tokens=4096)
STAGES = ("primitives", "topics", "skills", "meta-skills", "again")
PICTURES = "pictures"
"""The stage in which pictures get tags; it is no part of a taxonomy."""
_ALL = (*STAGES, PICTURES)
ROLE = "labeller"
PHASE = "taxonomy"
"""Of a run's calls of the labeller in its ledger; the step is the place among `STAGES`, and after them `PICTURES`."""
AT_ONCE = 256  # requests whose pictures are in memory
MOST_UNSERVED = 0.01  # of a stage's requests that may meet an outage and be skipped
MORE_TOKENS = 4  # times as many for a reply that was cut, or that was nothing
_LONGEST = 200_000  # characters of a reply that are looked at


@dataclass(frozen=True)
class Prompt:
    """One thing asked of the labeller."""

    text: str
    show: Callable[[], Picture] | None = None
    """Gives the picture that is shown; called when it is sent."""


@dataclass
class Asked:
    """What a stage took."""

    requests: int = 0
    """First requests."""
    again: int = 0
    """Requests that were made once more because a reply was of no use."""
    skipped: Counter[str] = field(default_factory=Counter)
    """What was given up, by cause."""

    def plain(self) -> dict[str, Any]:
        """As values that JSON has."""
        return {"requests": self.requests, "again": self.again, "skipped": dict(sorted(self.skipped.items()))}


class Labeller:
    """A model that names and groups skills.

    Args:
        model: any model.
        prompts: those of a taxonomy and `picture_tags` are used; by default the
            package's.
        sampling: greedy by default.
        images: pictures already encoded.
        ledger, run: where each call is kept and found again; without a ledger nothing is kept.
        progress: gets (stage, requests done, requests) as they are done.

    Example:
        >>> Labeller(ChatClient("http://127.0.0.1:8000/v1", model="JUDGE"))  # doctest: +SKIP
    """

    def __init__(
        self,
        model: Model,
        *,
        prompts: PromptFiles | None = None,
        sampling: Sampling = LABELLING,
        images: EncodedImages | None = None,
        ledger: Ledger | None = None,
        run: str = "",
        progress: Callable[[str, int, int], None] = lambda stage, done, all: None,
    ):
        self.model = model if ledger is None else RecordedModel(model, ledger, role=ROLE)
        self.prompts, self._sampling, self._images = prompts or PromptFiles.load(), sampling, images or EncodedImages()
        self._inner, self._ledger, self._run, self._progress = model, ledger, run, progress
        self.asked = {stage: Asked() for stage in _ALL}

    @property
    def identity(self) -> str:
        """The model's, with the prompts."""
        names = ("primitives", "primitives_again", "topic_label", "skills", "meta_skills")
        hashes = ", ".join(f"{name} {self.prompts.sha256(name)[:12]}" for name in names)
        return f"{self._inner.identity} [{hashes}; t={self._sampling.temperature:g}, n={self._sampling.max_tokens}]"

    def ask(self, stage: str, prompts: Sequence[Prompt], read: Callable[[int, dict[str, Any]], T]) -> list[T | None]:
        """[N] what was made of the replies; None where a request was given up.

        Args:
            stage: one of STAGES, or PICTURES.
            prompts: [N].
            read: gets the place of a prompt and the object of its reply; called in the order of the prompts, first for
                all first replies of some hundred prompts, then for those that were asked again. What it raises as
                ValueError is what the labeller is told.

        Raises:
            Unserved: an outage or a refusal by the server of more than MOST_UNSERVED of the requests.
            BudgetSpent: the model's budget did not last.
            SourceGone: no picture can be read, for a cause that is none of theirs.
        """
        found: list[T | None] = []
        for first in range(0, len(prompts), AT_ONCE):
            some = prompts[first : first + AT_ONCE]
            with made_or_not(self._ledger):
                self._at(stage)
                found += self._some(stage, some, first, len(prompts), read)
            self._progress(stage, first + len(some), len(prompts))
        return found

    def recorded(self, stage: str, prompts: Sequence[Prompt]) -> int:
        """How many of these first requests the ledger has a reply to."""
        if self._ledger is None or not self._ledger.spent(self._run, ROLE).calls:
            return 0  # no picture is read for it
        self._at(stage)
        known = 0
        for first in range(0, len(prompts), AT_ONCE):
            requests = [each for each in map(self._request, prompts[first : first + AT_ONCE]) if each is not None]
            keys = [request_key(self._inner.identity, each, extra_of(self._inner)) for each in requests]
            known += len(self._ledger.recorded_calls(ROLE, keys))
        return known

    def _at(self, stage: str) -> None:
        if self._ledger is not None:
            self._ledger.at(self._run, PHASE, _ALL.index(stage))

    def _some(
        self, stage: str, prompts: Sequence[Prompt], first: int, total: int, read: Callable[[int, dict[str, Any]], T]
    ) -> list[T | None]:
        asked, found = self.asked[stage], dict[int, T]()
        requests = {i: each for i, each in enumerate(map(self._request, prompts)) if each is not None}
        asked.requests += len(requests)
        asked.skipped["picture"] += len(prompts) - len(requests)
        for again in (False, True):
            replies = dict(zip(requests, replies_of(self.model, list(requests.values())), strict=True))
            self._check_served(stage, list(replies.values()), total)
            wrong = {}
            for i, reply in replies.items():
                try:
                    found[i] = read(first + i, _object(reply))
                except ValueError as error:
                    wrong[i] = (reply, str(error))
            if again or not wrong:
                break
            requests = {i: _once_more(requests[i], *wrong[i]) for i in wrong}
            asked.again += len(requests)
        asked.skipped.update("outage" if not wrong[i][0].final else "reply" for i in wrong)
        asked.skipped += Counter()  # without what is 0
        return [found.get(i) for i in range(len(prompts))]

    def _request(self, prompt: Prompt) -> Request | None:
        """None where the picture cannot be read."""
        try:
            shown = [] if prompt.show is None else [self._images(prompt.show())]
        except SourceGone:
            raise
        except Exception:  # one bad picture never takes the stage, whatever a source or a decoder raises
            return None
        return Request(messages=[Message(role="user", text=prompt.text, images=shown)], sampling=self._sampling)

    def _check_served(self, stage: str, replies: Sequence[ModelReply], total: int) -> None:
        short = sum(each.status is Status.BUDGET for each in replies)
        if short:
            raise BudgetSpent(
                f"[{ROLE}] {self._inner.identity}: the budget is spent, {short} requests of stage {stage} are left; "
                "with a larger one the same call goes on"
            )
        unserved = [each for each in replies if not each.final]
        if unserved and len(unserved) + self.asked[stage].skipped["outage"] > MOST_UNSERVED * total:
            who, why = f"{self._inner.identity}{located(self._inner)}", one_line(unserved[0].error)
            raise Unserved(
                f"[{ROLE}] {who}: expected a reply, got none to {len(unserved)} of {len(replies)} requests of stage "
                f"{stage}: {why or unserved[0].status}; put this right, then give the same command again"
            )


def _once_more(request: Request, reply: ModelReply, wrong: str) -> Request:
    """The same request, with the reply and what is wrong with it; longer where the reply was cut or nothing."""
    said = [Message(role="assistant", text=reply.text)] if reply.text.strip() else []
    told = Message(role="user", text=f"This cannot be used: {wrong}. Reply once more, as you were asked to.")
    sampling = request.sampling
    if reply.status in (Status.EMPTY, Status.TRUNCATED):
        sampling = replace(sampling, max_tokens=sampling.max_tokens * MORE_TOKENS)
    return replace(request, messages=[*request.messages, *said, told], sampling=sampling)


def _object(reply: ModelReply) -> dict[str, Any]:
    """The last JSON object of a reply.

    Raises:
        ValueError: there is none.
    """
    if reply.status is not Status.OK:
        raise ValueError(f"the reply was {reply.status}")
    last = None
    for text in _objects(reply.text[-_LONGEST:]):
        last = text
    if last is None:
        raise ValueError("expected a JSON object at the end of the reply, got none")
    found: dict[str, Any] = parse("labeller", "reply", last)
    return found


def _objects(text: str) -> Iterator[str]:
    """The JSON objects that stand in a text, each whole and not within another."""
    decoder, place = json.JSONDecoder(), 0
    for _ in range(1000):  # attempts
        place = text.find("{", place)
        if place < 0:
            return
        try:
            _, end = decoder.raw_decode(text, place)
        except (json.JSONDecodeError, RecursionError):
            place += 1
            continue
        yield text[place:end]
        place = end
