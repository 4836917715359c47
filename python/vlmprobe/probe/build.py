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
from vlmprobe.methods.hints import SKILLS, read_hints
from vlmprobe.methods.local_search import FollowUp, FollowUpOptions
from vlmprobe.models.chat import ChatClient, Endpoint, Prices
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.models.judges import ANSWERING, JUDGING, ModelAnswerer, ModelVerifier
from vlmprobe.models.model import Sampling
from vlmprobe.models.prompt_files import PromptFiles
from vlmprobe.models.protocols import Answerer, Picture, Verifier
from vlmprobe.models.replies import Failure, Reply
from vlmprobe.policy.asker import Asker
from vlmprobe.probe.config import WORLD, Probe, Role

ASKING = Sampling(temperature=1.0, max_tokens=512)
SAMPLING = {"questioner": ASKING, "answerer": ANSWERING, "verifier": JUDGING}
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


def client_of(role: Role, **more: Any) -> ChatClient:
    """The client of a role behind endpoints; nothing is sent yet.

    Args:
        role: with an endpoint.
        more: arguments of `ChatClient` in the place of the role's.
    """
    endpoints = [Endpoint(url, key_env=role.key_env, key_file=role.key_file) for url in role.endpoint]
    prices = Prices(prompt=role.prices.prompt, completion=role.prices.completion)
    return ChatClient(endpoints, model=role.model, revision=role.revision, prices=prices, **{**role.client, **more})


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
    """The models, those behind endpoints with each call in the ledger."""
    prompts, images = PromptFiles.load(probe.prompts or None), encoder_of(probe)
    roles = {"questioner": probe.questioner, "answerer": probe.answerer, "verifier": probe.verifier}
    clients = {name: client_of(role) for name, role in roles.items() if role.endpoint}
    recorded = {name: RecordedModel(client, ledger, role=name) for name, client in clients.items()}

    bandit = bandit_of(probe, folder) if probe.method == "bandit" else None
    answerer, verifier = (
        judge_of(name, probe, folder, recorded.get(name), images) for name in ("answerer", "verifier")
    )
    if roles["questioner"].python:
        asker = python_of(roles["questioner"], folder)
    elif "questioner" not in recorded:
        asker = questioner_of(probe, folder)
        if bandit is not None:
            asker = told(asker, bandit, probe, prompts)
    else:
        shared: dict[str, Any] = {"prompts": prompts, "images": images}
        shared["sampling"] = sampling_of("questioner", roles["questioner"])
        model = recorded["questioner"]
        asker = (
            ConMeAsker(model, answerer, **shared)
            if probe.method == "conme"
            else ChatAsker(model, hints=bandit, **shared)
        )
    if probe.method == "bandit" and probe.follow_up:
        asker = FollowUp(asker, FollowUpOptions(share=probe.follow_up))
    return Models(asker=asker, answerer=answerer, verifier=verifier, clients=clients)


def bandit_of(probe: Probe, folder: str | Path) -> Bandit:
    """Who chooses what to ask about."""
    if probe.questioner.model == WORLD and not probe.hints:
        from vlmprobe.methods.world_hints import world_can_be_told, world_hints

        return Bandit(world_hints(), fits=world_can_be_told)
    return Bandit(read_hints(Path(folder, probe.hints) if probe.hints else SKILLS))


def told(asker: Asker, bandit: Bandit, probe: Probe, prompts: PromptFiles) -> Asker:
    """The questioner in this process, told what to ask about."""
    from vlmprobe.methods.hinted import Hinted
    from vlmprobe.methods.world_hints import world_prompt
    from vlmprobe.policy.questioner import Questioner

    def prompt(k: int, hint: str) -> str:
        return prompts.render("questioner_hint", k=k, hint=hint)

    assert isinstance(asker, Questioner)
    return asker.with_preface(Hinted(bandit, world_prompt if probe.questioner.model == WORLD else prompt))


def verifier_of(probe: Probe, folder: str | Path, ledger: Ledger) -> Verifier:
    """The verifier alone, with each call of one behind endpoints in the ledger."""
    role = probe.verifier
    model = RecordedModel(client_of(role), ledger, role="verifier") if role.endpoint else None
    found: Verifier = judge_of("verifier", probe, folder, model, encoder_of(probe))
    return found


def judge_of(name: str, probe: Probe, folder: str | Path, model: RecordedModel | None, images: EncodedImages) -> Any:
    """The answerer or the verifier: asking a model by message, where there is one, else in this process."""
    role, prompts = getattr(probe, name), PromptFiles.load(probe.prompts or None)
    if model is None:
        return python_of(role, folder) if role.python else _local(name, role, prompts, folder)
    make = ModelAnswerer if name == "answerer" else ModelVerifier
    return make(model, prompts=prompts, sampling=sampling_of(name, role), images=images)


def questioner_of(probe: Probe, folder: str | Path) -> Asker:
    """The questioner in this process."""
    role = probe.questioner
    from vlmprobe.policy.questioner import Questioner
    from vlmprobe.vlm.load import quiet

    quiet()  # the progress is said here
    if role.model == WORLD:
        from vlmprobe.world import tiny

        return Questioner(tiny.load("questioner"))
    import torch

    from vlmprobe.vlm.lora import add_lora

    model = _loaded(role, folder)
    if role.lora is not None and probe.method == "rl":
        with torch.random.fork_rng(devices=[]):  # adapters begin the same in each process
            torch.manual_seed(probe.seed)
            add_lora(model, rank=role.lora.rank, alpha=role.lora.alpha)
    prompts = PromptFiles.load(probe.prompts or None)
    prompt = Path(folder, role.prompt).read_text(encoding="utf-8") if role.prompt else prompts["questioner"]
    temperature = 1.0 if role.temperature is None else role.temperature
    return Questioner(
        model, prompt=prompt, max_new_tokens=role.max_new_tokens, temperature=temperature,
        reference=False, micro_groups=probe.training.micro_groups,
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
    if hasattr(found, "answer") or hasattr(found, "validity") or hasattr(found, "ask"):
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


def _local(name: str, role: Role, prompts: PromptFiles, folder: str | Path) -> Any:
    if role.model == WORLD:
        from vlmprobe.world.answerers import ExecutingAnswerer, FaultyAnswerer, load_faults
        from vlmprobe.world.verifiers import OracleVerifier

        return FaultyAnswerer(ExecutingAnswerer(), load_faults()) if name == "answerer" else OracleVerifier()
    if name == "verifier":
        raise ValueError("[probe] verifier: expected an endpoint, python or world, got a model in this process")
    from vlmprobe.vlm.answerer import HFAnswerer

    length = role.max_tokens or ANSWERING.max_tokens
    return HFAnswerer(_loaded(role, folder), template=prompts["answerer"], max_new_tokens=length, batch_size=8)


def model_path(role: Role, folder: str | Path) -> str:
    """A model's folder as it is seen from the probe's, where it is one; else its name on the hub."""
    seen = Path(folder) / Path(role.model).expanduser()
    return str(seen) if seen.is_dir() else role.model


def _loaded(role: Role, folder: str | Path) -> Any:
    import torch

    from vlmprobe.vlm.load import quiet
    from vlmprobe.vlm.model import VisionLanguageModel

    quiet()
    return VisionLanguageModel.load(model_path(role, folder), device=role.device, dtype=getattr(torch, role.dtype))
