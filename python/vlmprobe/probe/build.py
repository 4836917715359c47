"""From a probe's values to what they stand for: pictures, and models that are asked through a ledger."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlmprobe.data.draw import draw
from vlmprobe.data.opening import open_images
from vlmprobe.data.source import ImageSource
from vlmprobe.ledger import Ledger, RecordedModel
from vlmprobe.methods import ChatAsker, ConMeAsker
from vlmprobe.methods.bandit import Bandit
from vlmprobe.methods.hinted import Hinted
from vlmprobe.methods.hints import Hint, Hints, read_hints
from vlmprobe.methods.local_search import FollowUp, FollowUpOptions
from vlmprobe.models.chat import ChatClient, Prices, Spent
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.models.judges import ANSWERING, JUDGING, ModelAnswerer, ModelVerifier
from vlmprobe.models.model import Model, Sampling
from vlmprobe.models.prompt_files import PromptFiles
from vlmprobe.models.protocols import Answerer, Picture, Verifier
from vlmprobe.models.replies import Failure, Reply
from vlmprobe.policy.asker import Asker
from vlmprobe.probe.config import Probe
from vlmprobe.probe.local import LocalModels, seen_from, weights_of
from vlmprobe.probe.roles import WORLD, Role
from vlmprobe.probe.roles import Verifier as VerifierRole
from vlmprobe.taxonomy.asking import LABELLING

ASKING = Sampling(temperature=1.0, max_tokens=512)
SAMPLING = {"questioner": ASKING, "answerer": ANSWERING, "verifier": JUDGING, "labeller": LABELLING}
HINTED = ("bandit", "hinted-rl")
"""Methods whose questioner is told by a bandit what to ask about."""
RUN = "probe"
"""Name of a probe's run in its ledger."""
LOOKS = "pictures.looks.json"
"""What was found about the pictures, beside `probe.yaml`; a picture whose file is as it was is not looked at again."""


@dataclass(frozen=True, kw_only=True)
class Models:
    """Who asks, answers and judges."""

    asker: Asker
    answerer: Answerer
    verifier: Verifier
    clients: dict[str, ChatClient] = field(default_factory=dict)
    """Of the roles that are behind endpoints."""


def images_of(probe: Probe, folder: str | Path) -> ImageSource:
    """The pictures, each looked at and drawn as the probe says (`vlmprobe.data.draw`); a path is seen from the probe's
    folder, where what was found is kept in LOOKS."""
    wanted = probe.images
    if wanted.source == WORLD:
        from vlmprobe.world.source import POOL_SEED, WorldImages

        return WorldImages(wanted.n or 64, seed=POOL_SEED + wanted.seed)
    source, *annotations = (Path(folder) / Path(each).expanduser() for each in (wanted.source, *wanted.annotations))
    return draw(
        open_images(source, annotations=annotations, column=wanted.column),
        wanted.n,
        seed=wanted.seed,
        near_duplicates=wanted.near_duplicates == "keep",
        kept_in=Path(folder) / LOOKS,
    )


def encoder_of(probe: Probe) -> EncodedImages:
    """How pictures are sent."""
    pixels = probe.pixels
    return EncodedImages(format=pixels.format, quality=pixels.quality, longest_side=pixels.longest_side)


def prompts_of(probe: Probe, folder: str | Path) -> PromptFiles:
    """The prompts, those of the probe's own folder of prompts among them."""
    return PromptFiles.load(seen_from(probe.prompts, folder) if probe.prompts else None)


def client_of(role: Role, *, spent: Spent | None = None, **more: Any) -> ChatClient:
    """The client of a role behind endpoints; nothing is sent yet.

    Args:
        role: with an endpoint.
        spent: what the run has used of the budgets that `role.client` has.
        more: arguments of `ChatClient` in the place of the role's.

    Raises:
        ValueError: such a budget is spent, or arguments that the client does not take.
    """
    prices = Prices(prompt=role.prices.prompt, completion=role.prices.completion)
    given = {**role.client.given, **({} if spent is None else left_of(role, spent)), **more}
    return ChatClient(role.servers, model=role.model, revision=role.revision, prices=prices, **given)


def left_of(role: Role, spent: Spent) -> dict[str, float]:
    """What is left of a role's own budgets, which are those of the whole run: `max_calls`, `max_tokens`, `max_cost`."""
    used = {
        "max_calls": float(spent.calls),
        "max_tokens": float(spent.prompt_tokens + spent.completion_tokens),
        "max_cost": cost_of(role, spent),
    }
    left = {}
    for name, most in role.client.given.items():
        if name not in used:
            continue
        if most <= used[name]:
            raise ValueError(
                f"[probe] client.{name} of {role.model}: expected more than {used[name]:g}, which the run has used, "
                f"got {most:g}; raise it to go on"
            )
        left[name] = most - (used[name] if name == "max_cost" else int(used[name]))
    return left


def cost_of(role: Role, spent: Spent) -> float:
    """In the unit of the role's prices."""
    prices = role.prices
    return (spent.prompt_tokens * prices.prompt + spent.completion_tokens * prices.completion) / 1e6


def sampling_of(name: str, role: Role) -> Sampling:
    """How a role's replies are drawn."""
    usual = SAMPLING[name]
    return Sampling(
        temperature=usual.temperature if role.temperature is None else role.temperature,
        top_p=usual.top_p if role.top_p is None else role.top_p,
        max_tokens=usual.max_tokens if role.max_tokens is None else role.max_tokens,
        seed=usual.seed,
    )


def models_of(probe: Probe, folder: str | Path, ledger: Ledger) -> Models:
    """The models, those that are asked by message with each call in the ledger."""
    prompts, images = prompts_of(probe, folder), encoder_of(probe)
    roles = {"questioner": probe.questioner, "answerer": probe.answerer, "verifier": probe.verifier}
    clients = {name: client_of(role, spent=ledger.spent(RUN, name)) for name, role in roles.items() if role.endpoint}
    recorded = {name: RecordedModel(client, ledger, role=name) for name, client in clients.items()}
    here = LocalModels(probe, folder)
    for name in ("answerer", "verifier"):
        if weights_of(probe, name, folder) is not None:
            recorded[name] = RecordedModel(here.by_message(name), ledger, role=name)

    answerer, verifier = (
        judge_of(name, probe, folder, recorded.get(name), images) for name in ("answerer", "verifier")
    )
    answerer = _with_faults(answerer, probe, folder)
    if roles["questioner"].python:
        asker = python_of(roles["questioner"], folder)
    elif "questioner" not in recorded:
        asker = adaptive(probe, folder, lambda hints: questioner_of(probe, folder, here, hints))
    else:
        shared: dict[str, Any] = {"prompts": prompts, "images": images}
        shared["sampling"] = sampling_of("questioner", roles["questioner"])
        model = recorded["questioner"]
        asker = (
            ConMeAsker(model, answerer, **shared) if probe.way == "conme"
            else adaptive(probe, folder, lambda hints: ChatAsker(model, hints=hints, **shared))
        )  # fmt: skip
    return Models(asker=asker, answerer=answerer, verifier=verifier, clients=clients)


def verifier_of(probe: Probe, folder: str | Path, ledger: Ledger, *, name: str, run: str = RUN) -> Verifier:
    """The verifier alone, each call of one that is asked by message in the ledger under a name of its own, so that
    the run is not charged for it."""
    model = _recorded_model("verifier", probe, folder, ledger, (run, name))
    found: Verifier = judge_of("verifier", probe, folder, model, encoder_of(probe))
    return found


def answerer_of(probe: Probe, folder: str | Path, ledger: Ledger, *, run: str = RUN) -> Answerer:
    """The answerer alone, with the faults that are planted in it, each call of one that is asked by message in the
    ledger."""
    model = _recorded_model("answerer", probe, folder, ledger, (run, "answerer"))
    found: Answerer = judge_of("answerer", probe, folder, model, encoder_of(probe))
    return _with_faults(found, probe, folder)


def _recorded_model(
    role_name: str, probe: Probe, folder: str | Path, ledger: Ledger, charged: tuple[str, str]
) -> RecordedModel | None:
    """The model of a role that is asked by message, charged to a run under a name; None for another."""
    role, (run, name) = getattr(probe, role_name), charged
    if role.endpoint:
        return RecordedModel(client_of(role, spent=ledger.spent(run, name)), ledger, role=name)
    if weights_of(probe, role_name, folder) is not None:
        return RecordedModel(LocalModels(probe, folder).by_message(role_name), ledger, role=name)
    return None


def _with_faults(answerer: Answerer, probe: Probe, folder: str | Path) -> Answerer:
    if probe.images.source != WORLD:
        return answerer
    from vlmprobe.probe import world

    return world.faulty(answerer, probe.answerer, folder)


def judge_of(name: str, probe: Probe, folder: str | Path, model: RecordedModel | None, images: EncodedImages) -> Any:
    """The answerer or the verifier: asking a model by message, where there is one, else a function or the world's."""
    role, prompts = getattr(probe, name), prompts_of(probe, folder)
    if model is None:
        return python_of(role, folder) if role.python else _of_the_world(name, role)
    return judge(role, model, prompts, images)


def judge(role: Role, model: Model, prompts: PromptFiles, images: EncodedImages) -> ModelAnswerer | ModelVerifier:
    """A model that is asked by message, as the verifier where the role is that, else as the answerer."""
    if isinstance(role, VerifierRole):
        votes = {name: getattr(role, name) for name in ("votes", "confirm", "again", "more_tokens")}
        sampling = sampling_of("verifier", role)
        return ModelVerifier(model, schema=role.json_schema, prompts=prompts, sampling=sampling, images=images, **votes)
    return ModelAnswerer(model, prompts=prompts, sampling=sampling_of("answerer", role), images=images)


def adaptive(probe: Probe, folder: str | Path, asking: Callable[[Hints | None], Asker]) -> Asker:
    """Who asks, by the probe's method: as it is, or told by a bandit what to ask about, with what failed followed up
    beside it; but one that learns as it is, since what it learns from is what it drew itself (see `followed`).

    Args:
        asking: makes an asker of hints, or of none.
    """
    if probe.way not in HINTED:
        return asking(None)
    asker = asking(bandit_of(probe, folder))
    return asker if probe.learns else followed(probe, asker)


def followed(probe: Probe, asker: Asker) -> Asker:
    """The same, with what failed followed up beside it, where the probe says so."""
    return FollowUp(asker, FollowUpOptions(share=probe.hints.follow_up)) if probe.hints.follow_up else asker


def bandit_of(probe: Probe, folder: str | Path) -> Bandit:
    """Who chooses a probe's hints, before anything was asked.

    Raises:
        ValueError: see `read_hints`.
    """
    hints, fits = hints_of(probe, folder)
    return Bandit(hints, fits=fits)


def hints_of(probe: Probe, folder: str | Path) -> tuple[list[Hint], Callable[[Hint], bool]]:
    """The hints to begin with, and whether the questioner can be told one that failures bring."""
    if probe.hints.file:
        return read_hints(Path(folder) / Path(probe.hints.file).expanduser()), lambda hint: True
    if not probe.questioner.of_world:
        return read_hints(), lambda hint: True
    from vlmprobe.methods.world_hints import can_be_told, world_hints

    return world_hints(), can_be_told


def questioner_of(probe: Probe, folder: str | Path, here: LocalModels, hints: Hints | None) -> Asker:
    """The questioner in this process, told what to ask about where there are hints."""
    role = probe.questioner
    from vlmprobe.policy.questioner import Questioner

    if role.of_world:
        from vlmprobe.probe import world
        from vlmprobe.vlm.load import quiet

        quiet()  # the progress is said here
        return world.questioner(probe, hints)
    prompts = prompts_of(probe, folder)
    prompt = Path(folder, role.prompt).read_text(encoding="utf-8") if role.prompt else prompts["questioner"]
    temperature = 1.0 if role.temperature is None else role.temperature
    told = None if hints is None else Hinted(hints, lambda k, hint: prompts.render("questioner_hint", k=k, hint=hint))
    return Questioner(
        here.asking(), preface=told, prompt=prompt, max_new_tokens=role.max_new_tokens, temperature=temperature,
        reference=False, micro_groups=probe.training.micro_groups, checkpointing=probe.training.gradient_checkpointing,
    )  # fmt: skip


def python_of(role: Role, folder: str | Path) -> Any:
    """What `python: module:name` names: an object with the role's methods, or a function of pictures and questions.

    Raises:
        ValueError: no such module or name.
    """
    module, _, name = role.python.partition(":")
    for path in (str(Path(folder).absolute()), str(Path.cwd())):
        if path not in sys.path:
            sys.path.insert(0, path)
    try:
        found = getattr(importlib.import_module(module), name or "")
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"[probe] python: expected module:name that can be imported, got {role.python!r} ({error})"
        ) from None
    if any(hasattr(found, method) for method in ("answer", "validity", "ask", "reply")):
        return found() if isinstance(found, type) else found
    return _Answering(role.python, found)


class _Answering:
    """A function as an answerer."""

    def __init__(self, name: str, function: Callable[[list[Any], list[str]], Sequence[str | None]]):
        self.identity, self._function = name, function

    def answer(self, images: Sequence[Picture], questions: Sequence[str]) -> list[Reply]:
        """See `vlmprobe.models.protocols.Answerer`; None is an answer that could not be had."""
        said = self._function([image.pixels for image in images], list(questions))
        if len(said) != len(questions):
            raise ValueError(f"[probe] {self.identity}: expected {len(questions)} answers, got {len(said)}")
        return [Reply(failure=Failure.EMPTY) if text is None else Reply.of(str(text)) for text in said]


def _of_the_world(name: str, role: Role) -> Any:
    from vlmprobe.probe import world

    return world.answerer(role) if name == "answerer" else world.verifier()
