"""`probe.yaml` as typed values, read by one function.

    images: photos                         # or {source: ..., n: 1000, seed: 0}
    questioner: {model: ASKER, endpoint: http://127.0.0.1:8000/v1}
    answerer: {model: MODEL, endpoint: http://127.0.0.1:8000/v1}
    verifier: {model: JUDGE, endpoint: http://127.0.0.1:8000/v1}
    budget: {calls: 500}

`vlmprobe init` writes such a file with every value, its default and its unit; `probe.schema.json` beside it lets
editors complete it.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from vlmprobe import reward
from vlmprobe._util.json import read_text

FILE = "probe.yaml"
WORLD = "world"
"""Name of the embedded world, where pictures, questioner, answerer or verifier may come from."""


class Part(BaseModel):
    """A part of the file; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Images(Part):
    """The pictures."""

    source: str = Field(
        description="a folder of pictures or with a dataset, a .csv, .jsonl, .parquet or COCO .json file; or world"
    )
    annotations: list[str] = Field(
        default=[], description="COCO files, or one table, about the pictures of the folder source"
    )
    column: str = Field(default="", description="of the pictures in a table or a dataset; empty: found by its name")
    n: int | None = Field(default=None, ge=1, description="how many are taken, drawn by the seed; empty: all")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of the draw")
    near_duplicates: Literal["skip", "keep"] = Field(
        default="skip", description="pictures that look like another one: skip leaves them out"
    )

    @field_validator("annotations", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class Pixels(Part):
    """How pictures are sent to a server."""

    longest_side: int | None = Field(
        default=1024, ge=16, description="pixels; larger pictures are made smaller; empty: never"
    )
    format: Literal["jpeg", "png"] = Field(
        default="jpeg", description="jpeg is a tenth of png's bytes for a photograph"
    )
    quality: int = Field(default=90, ge=1, le=100, description="of jpeg, 1 to 100")


class Prices(Part):
    """What a model costs, in any unit, per million tokens."""

    prompt: float = Field(default=0.0, ge=0, description="per million tokens of prompts")
    completion: float = Field(default=0.0, ge=0, description="per million tokens of replies")


class Lora(Part):
    """Low-rank adapters, which are trained in the place of the weights."""

    rank: int = Field(default=16, ge=1, description="of the adapters")
    alpha: float = Field(default=32.0, gt=0, description="the adapters' output is scaled by alpha / rank")


class Role(Part):
    """A model and how it is asked."""

    model: str = Field(
        default="", description="its name at the endpoint; without one: a name on the hub, a folder, or world"
    )
    endpoint: list[str] = Field(
        default=[], description="URLs up to and with /v1 of servers that speak OpenAI's chat protocol"
    )
    key_env: str = Field(default="", description="name of the environment variable that holds the servers' key")
    key_file: str = Field(default="", description="a file that holds the key, in the place of key_env")
    python: str = Field(
        default="", description="module:function in the place of a model; called as the role's method is"
    )
    revision: str = Field(default="", description="of the weights")
    temperature: float | None = Field(
        default=None, ge=0, description="of sampling; empty: 1 asking, 0 answering, .6 judging"
    )
    top_p: float | None = Field(default=None, gt=0, le=1, description="of sampling; empty: 1, judging .95")
    max_tokens: int | None = Field(
        default=None, ge=1, description="of a reply; empty: 512 asking, 256 answering, 4096 judging"
    )
    prices: Prices = Field(default=Prices(), description="for the forecast and budget.cost")
    client: dict[str, Any] = Field(default={}, description="further arguments of vlmprobe.models.chat.ChatClient")
    device: str = Field(default="cpu", description="of a model in this process: cpu, cuda")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(default="float32", description="of its weights")

    @property
    def local(self) -> bool:
        """Whether the model is in this process."""
        return not self.endpoint and not self.python

    @model_validator(mode="after")
    def _somewhere(self) -> Role:
        if not self.model and not self.python:
            raise ValueError("model: expected a name, got none")
        if self.python and (self.model or self.endpoint):
            raise ValueError("python: expected it alone, got a model as well")
        if self.endpoint and self.model == WORLD:
            raise ValueError("endpoint: expected none beside the embedded world, got one")
        return self


class Questioner(Role):
    """Who asks."""

    prompt: str = Field(
        default="", description="a file with the prompt of a model in this process; empty: the package's"
    )
    max_new_tokens: int = Field(default=256, ge=1, description="tokens of its completions")
    lora: Lora | None = Field(default=None, description="train adapters, not the weights, where method is rl")


class Budget(Part):
    """When to stop: at whichever is spent first, at the end of a step."""

    calls: int | None = Field(default=500, ge=1, description="calls of the answerer")
    steps: int | None = Field(default=None, ge=1, description="steps of images_per_step pictures")
    tokens: int | None = Field(default=None, ge=1, description="tokens of all endpoints, prompts and replies")
    cost: float | None = Field(default=None, gt=0, description="in the unit of the prices")
    hours: float | None = Field(default=None, gt=0, description="of this call of the command")

    @model_validator(mode="after")
    def _some(self) -> Budget:
        if all(value is None for value in self.model_dump().values()):
            raise ValueError("expected at least one of calls, steps, tokens, cost and hours, got none")
        return self


class Training(Part):
    """How a questioner in this process learns, where method is rl."""

    reward: str = Field(default="paper", description="a preset's name or an expression")
    learning_rate: float = Field(default=1e-6, gt=0, description="of AdamW")
    beta: float = Field(default=0.01, ge=0, description="weight of the KL to the questioner as it was")
    credit: Literal["question", "sequence"] = Field(default="question", description="who gets a question's reward")
    micro_groups: int | None = Field(
        default=None, ge=1, description="pictures whose completions are learned from at once; empty: the step's"
    )
    checkpoint_every: int = Field(default=10, ge=1, description="steps between checkpoints")

    @model_validator(mode="after")
    def _reads(self) -> Training:
        reward.parse(self.reward)
        return self


GUARDS = Literal[
    "unscored", "truncated", "repeats", "prefixes", "length", "term", "degenerate", "entropy", "kl"
]  # fmt: skip


class Guards(Part):
    """What is said when it begins, looked for in the last steps; `stop` names what ends the run besides."""

    stop: list[GUARDS] = Field(
        default=[],
        description="any of unscored, truncated, repeats, prefixes, length, term, degenerate, entropy, kl",
    )
    window: int = Field(default=5, ge=1, description="steps that are looked at together")
    unscored: float = Field(default=0.5, ge=0, le=1, description="most of the questions that may be without a verdict")
    truncated: float = Field(default=0.2, ge=0, le=1, description="most of a role's replies that may be cut")
    repeats: float = Field(
        default=0.5, ge=0, le=1, description="most of the questions that may repeat one about the same picture"
    )
    prefixes: float = Field(
        default=0.5, ge=0, description="least entropy of the questions' first two words, in nats (the paper's LD)"
    )
    length: float = Field(
        default=2.0, gt=1, description="how many times as long or as short as at first questions may become"
    )
    term: float = Field(
        default=0.95, gt=0, le=1, description="most of the reward's variance that one term alone may explain (rl)"
    )
    degenerate: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="most of the groups that may teach nothing, all of their rewards equal (rl)",
    )
    entropy: float = Field(
        default=0.25, ge=0, le=1, description="least share of its first entropy that the questioner keeps (rl)"
    )
    kl: float = Field(default=0.5, gt=0, description="most KL to the questioner as it was, nats per token (rl)")


def _named(value: Any) -> Any:
    """A part that is a text stands for its first field: `images: photos`, `answerer: MODEL` or `MODEL@URL`."""
    if not isinstance(value, str):
        return value
    model, _, url = value.partition("@http")
    return {"model": model, **({"endpoint": [f"http{url}"]} if url else {})}


def _folder(value: Any) -> Any:
    return {"source": value} if isinstance(value, str) else value


class Probe(Part):
    """All of the file."""

    images: Annotated[Images, BeforeValidator(_folder)] = Field(description="the pictures")
    questioner: Annotated[Questioner, BeforeValidator(_named)] = Field(description="who asks")
    answerer: Annotated[Role, BeforeValidator(_named)] = Field(description="the model under test")
    verifier: Annotated[Role, BeforeValidator(_named)] = Field(description="who judges questions and answers")
    method: Literal["zero-shot", "bandit", "conme", "rl"] = Field(
        default="zero-shot", description="how questions are come by"
    )
    hints: str = Field(
        default="",
        description="a file with hints, one a line (bandit); empty: the package's list of visual skills",
    )
    follow_up: float = Field(
        default=0.0, ge=0, le=1, description="share of pictures on which earlier failures may be asked again (bandit)"
    )
    budget: Budget = Field(default=Budget(), description="when to stop")
    pixels: Pixels = Field(default=Pixels(), description="how pictures are sent to servers")
    k: int = Field(default=2, ge=1, le=9, description="questions in a completion")
    group_size: int = Field(default=4, ge=1, description="completions about a picture")
    images_per_step: int = Field(default=8, ge=1, description="pictures in a step")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of sampling and of the order of the pictures")
    prompts: str = Field(default="", description="a folder with prompts in the place of the package's")
    allow_same_model: bool = Field(default=False, description="whether the verifier may be the model under test")
    training: Training = Field(default=Training(), description="where method is rl")
    guards: Guards = Field(default=Guards(), description="what is said, or ends the run, when it goes wrong")

    @model_validator(mode="after")
    def _fits(self) -> Probe:
        if self.method == "rl" and not self.questioner.local:
            raise ValueError("method: expected zero-shot, bandit or conme for a questioner behind an endpoint, got rl")
        if self.method == "bandit" and self.questioner.python:
            raise ValueError("method: expected zero-shot for a questioner in python, which is told no hint, got bandit")
        if self.method == "conme" and self.questioner.local:
            raise ValueError("method: expected zero-shot, bandit or rl for a questioner in this process, got conme")
        return self


def read(folder: str | Path, sets: Sequence[str] = ()) -> Probe:
    """The probe of a folder.

    Args:
        folder: with `probe.yaml`.
        sets: `a.b=c` in the place of what the file has; c is read as YAML.

    Raises:
        ValueError: no such file, no YAML, a key that is unknown (names the nearest), a value of another kind.
    """
    file = Path(folder) / FILE
    if not file.is_file():
        raise ValueError(f"[probe] {folder}: expected a folder with {FILE}, got none; `vlmprobe init` writes one")
    try:
        content = yaml.safe_load(read_text("probe", file))
    except yaml.YAMLError as error:
        raise ValueError(f"[probe] {file}: expected YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise ValueError(f"[probe] {file}: expected the keys of a probe, got {content!r:.60}")
    for each in sets:
        _put(content, each)
    return parse(content, where=str(file))


def parse(content: Mapping[str, Any], *, where: str = "probe") -> Probe:
    """A probe from plain values.

    Raises:
        ValueError: names the key, what was expected and what there was.
    """
    try:
        return Probe.model_validate(_listed(content))
    except ValidationError as error:
        raise ValueError(f"[probe] {where}: {'; '.join(_said(error))}") from None


def schema() -> str:
    """The file's JSON schema."""
    return json.dumps(Probe.model_json_schema(), indent=1) + "\n"


def _listed(content: Mapping[str, Any]) -> dict[str, Any]:
    """One URL is a list of one."""
    found = dict(content)
    for name in ("questioner", "answerer", "verifier"):
        role = found.get(name)
        if isinstance(role, dict) and isinstance(role.get("endpoint"), str):
            found[name] = {**role, "endpoint": [role["endpoint"]]}
    return found


def _put(content: dict[str, Any], text: str) -> None:
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise ValueError(f"[probe] --set: expected a.b=c, got {text!r:.60}")
    *inner, last = path.split(".")
    for name in inner:
        below = content.setdefault(name, {})
        if isinstance(below, str):
            below = content[name] = (_folder if name == "images" else _named)(below)
        if not isinstance(below, dict):
            raise ValueError(f"[probe] --set {path}: expected {name} to have parts, got {below!r:.60}")
        content = below
    try:
        content[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ValueError(f"[probe] --set {path}: expected a value in YAML, got {value!r:.60}") from None


def _said(error: ValidationError) -> Iterator[str]:
    for each in error.errors():
        path = [str(part) for part in each["loc"]]
        where = ".".join(path)
        if each["type"] == "extra_forbidden":
            known = _fields(path[:-1])
            near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"{where}: expected one of {', '.join(known)}{hint}"
        elif each["type"] == "missing":
            yield f"{where}: expected a value, got none"
        elif each["type"] == "value_error":
            yield ": ".join(filter(None, (where, str(each["ctx"]["error"]))))
        else:
            yield f"{where}: {each['msg'][0].lower()}{each['msg'][1:]}, got {each['input']!r:.60}"


def _fields(path: Sequence[str]) -> list[str]:
    part: type[BaseModel] = Probe
    for name in path:
        kinds = [part.model_fields[name].annotation] if name in part.model_fields else []
        kinds += list(getattr(kinds[0], "__args__", ())) if kinds else []
        part = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), part)
    return list(part.model_fields)
