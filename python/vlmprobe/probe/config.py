"""`probe.yaml` as typed values; `vlmprobe.probe.reading` reads it.

    images: photos                         # or {source: ..., n: 1000, seed: 0}
    questioner: {model: ASKER, endpoint: http://127.0.0.1:8000/v1}
    answerer: {model: MODEL, endpoint: http://127.0.0.1:8000/v1}
    verifier: {model: JUDGE, endpoint: http://127.0.0.1:8000/v1}
    budget: {calls: 500}

`vlmprobe init` writes such a file with every value, its default and its unit; `probe.schema.json` beside it lets
editors complete it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from vlmprobe import reward
from vlmprobe.models.chat import Endpoint

FILE = "probe.yaml"
WORLD = "world"
"""Name of the embedded world, where pictures, questioner, answerer or verifier may come from. `world:NAME` is one of
its small models (`vlmprobe.world.tiny.MODELS`)."""


FOLDED: dict[str, Any] = {"folded": True}
"""Marks a part that `vlmprobe init` writes in one line as long as nothing in it is set."""


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


class Client(Part):
    """How a server is called, and at most how often; what is empty is as `vlmprobe.models.chat.ChatClient` has it."""

    attempt_timeout_s: float | None = Field(default=None, gt=0, description="seconds for one attempt")
    deadline_s: float | None = Field(default=None, gt=0, description="seconds for a call, all attempts together")
    batch_deadline_s: float | None = Field(default=None, gt=0, description="seconds for all calls of a step")
    unreachable_s: float | None = Field(default=None, gt=0, description="seconds until a server counts as down")
    first_pause_s: float | None = Field(default=None, ge=0, description="seconds before the second attempt")
    max_attempts: int | None = Field(default=None, ge=1, le=1000, description="of a call")
    first_limit: int | None = Field(default=None, ge=1, le=100_000, description="calls in flight at first")
    max_limit: int | None = Field(default=None, ge=1, le=100_000, description="calls in flight at most")
    max_response_bytes: int | None = Field(default=None, ge=1, lt=2**40, description="of a reply")
    max_calls: int | None = Field(
        default=None, ge=1, lt=2**53, description="of the whole run; then it ends, with code 3"
    )
    max_tokens: int | None = Field(default=None, ge=1, lt=2**53, description="the same, prompts and replies")
    max_cost: float | None = Field(default=None, gt=0, description="the same, in the unit of the prices")
    extra: dict[str, Any] = Field(default={}, description="further fields of each request")
    proxy: str = Field(default="", description="URL of a proxy, without a password")

    @field_validator("proxy")
    @classmethod
    def _open(cls, value: str) -> str:
        if "@" in value:  # a run writes down what it was given
            raise ValueError("expected a URL without a password")
        return value

    @property
    def given(self) -> dict[str, Any]:
        """What is not empty, as arguments of the client."""
        return {name: value for name, value in self.model_dump().items() if value not in (None, "", {})}


class Lora(Part):
    """Low-rank adapters, which are trained in the place of the weights."""

    rank: int = Field(default=16, ge=1, description="of the adapters")
    alpha: float = Field(default=32.0, gt=0, description="the adapters' output is scaled by alpha / rank")
    vision: bool = Field(default=False, description="adapters beside what reads the pictures, too")


class Server(Part):
    """A server whose key is another than the role's."""

    url: str = Field(description="up to and with /v1")
    key_env: str = Field(default="", description="name of the environment variable that holds its key")
    key_file: str = Field(default="", description="a file that holds the key, in the place of key_env")


class Role(Part):
    """A model and how it is asked."""

    model: str = Field(
        default="",
        description="its name at the endpoint; without one: a name on the hub, a folder, world or world:NAME",
    )
    endpoint: list[str | Server] = Field(
        default=[],
        description="URLs up to and with /v1 of servers that speak OpenAI's chat protocol; "
        "{url: ..., key_env: ...} for one with a key of its own",
    )
    key_env: str = Field(default="", description="name of the environment variable that holds the servers' key")
    key_file: str = Field(default="", description="a file that holds the key, in the place of key_env")
    python: str = Field(
        default="", description="module:function in the place of a model; called as the role's method is"
    )
    revision: str = Field(default="", description="of the weights: a branch, a tag or a commit of the hub")
    temperature: float | None = Field(
        default=None, ge=0, description="of sampling; empty: 1 asking, 0 answering, .6 judging"
    )
    top_p: float | None = Field(default=None, gt=0, le=1, description="of sampling; empty: 1, judging .95")
    max_tokens: int | None = Field(
        default=None, ge=1, description="of a reply; empty: 512 asking, 256 answering, 4096 judging"
    )
    prices: Prices = Field(default=Prices(), description="for the forecast and budget.cost")
    client: Client = Field(
        default=Client(), description="time limits, attempts, calls in flight, budgets", json_schema_extra=FOLDED
    )
    device: str = Field(default="cpu", description="of a model in this process: cpu, cuda; auto: where it fits")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(default="float32", description="of its weights")
    attention: str = Field(default="", description="as transformers names it; empty: torch's fused one, sdpa")
    quantization: Literal["", "8bit", "4bit"] = Field(default="", description="of its weights, by bitsandbytes")
    adapters: str = Field(default="", description="a folder with adapters of an earlier run, for the model")
    batch_size: int = Field(
        default=8, ge=1, description="replies of an answerer or verifier here that are made at once"
    )

    @property
    def local(self) -> bool:
        """Whether the model is in this process."""
        return not self.endpoint and not self.python

    @property
    def servers(self) -> list[Endpoint]:
        """The endpoints, each with its key's source."""
        shared = {"key_env": self.key_env, "key_file": self.key_file}
        return [
            Endpoint(each, **shared)
            if isinstance(each, str)
            else Endpoint(each.url, key_env=each.key_env, key_file=each.key_file)
            for each in self.endpoint
        ]

    @property
    def of_world(self) -> bool:
        """Whether it is the embedded world's."""
        return self.model.partition(":")[0] == WORLD

    @model_validator(mode="after")
    def _somewhere(self) -> Role:
        if not self.model and not self.python:
            raise ValueError("model: expected a name, got none")
        if self.python and (self.model or self.endpoint):
            raise ValueError("python: expected it alone, got a model as well")
        if self.servers and self.of_world:
            raise ValueError("endpoint: expected none beside the embedded world, got one")
        if not self.local or self.of_world:
            for name in ("adapters", "quantization", "attention"):
                if value := getattr(self, name):
                    raise ValueError(f"{name}: expected none for a model that is not loaded here, got {value!r:.60}")
        return self


class Questioner(Role):
    """Who asks."""

    prompt: str = Field(
        default="", description="a file with the prompt of a model in this process; empty: the package's"
    )
    max_new_tokens: int = Field(default=256, ge=1, description="tokens of its completions")
    lora: Lora | None = Field(default=None, description="train adapters, not the weights, where method is rl")

    @model_validator(mode="after")
    def _once(self) -> Questioner:
        if self.lora is not None and self.adapters:
            raise ValueError("lora: expected none beside adapters, which are trained further as they are, got some")
        return self


class Answerer(Role):
    """The model under test."""

    faults: str = Field(
        default="",
        description="a JSON file of faults that are planted in it, with pictures of the world; "
        "empty: the package's where model is world, else none",
    )


class Verifier(Role):
    """Who judges; the numbers are for a model that is asked, and `vlmprobe.models.judges.ModelVerifier` says more."""

    votes: int = Field(default=1, ge=1, le=100, description="of each question and each answer; most of them decide")
    confirm: int = Field(default=0, ge=0, le=100, description="more votes on what the first one calls a failure")
    again: int = Field(
        default=1, ge=0, le=100, description="how often a verdict that cannot be read is asked for again"
    )
    more_tokens: int = Field(
        default=4, ge=1, le=100, description="a reply that is cut is asked for again, this many times as long"
    )
    json_schema: bool = Field(default=False, description="ask the server for verdicts as JSON objects")


class Budget(Part):
    """When to stop: at whichever is spent first, at the end of a step."""

    calls: int | None = Field(default=500, ge=1, description="calls of the answerer")
    steps: int | None = Field(default=None, ge=1, description="steps of images_per_step pictures")
    tokens: int | None = Field(
        default=None, ge=1, description="tokens of endpoints, and of an answerer or verifier here; prompts and replies"
    )
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
    warmup_steps: int = Field(default=0, ge=0, description="first steps, in which the learning rate grows")
    schedule: Literal["constant", "cosine"] = Field(default="constant", description="of the learning rate after them")
    total_steps: int | None = Field(
        default=None, ge=1, description="steps at whose end a cosine's rate is 0; empty: budget.steps"
    )
    epochs: int = Field(default=1, ge=1, description="updates in a step, all from the same completions")
    gradient_checkpointing: bool = Field(
        default=False, description="less memory and a third more time: the model's layers run twice"
    )
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


def named(value: Any) -> Any:
    """A part that is a text stands for its first field: `images: photos`, `answerer: MODEL` or `MODEL@URL`."""
    if not isinstance(value, str):
        return value
    model, _, url = value.partition("@http")
    return {"model": model, **({"endpoint": [f"http{url}"]} if url else {})}


def sourced(value: Any) -> Any:
    """`images: photos` is `images: {source: photos}`."""
    return {"source": value} if isinstance(value, str) else value


class Probe(Part):
    """All of the file."""

    images: Annotated[Images, BeforeValidator(sourced)] = Field(description="the pictures")
    questioner: Annotated[Questioner, BeforeValidator(named)] = Field(description="who asks")
    answerer: Annotated[Answerer, BeforeValidator(named)] = Field(description="the model under test")
    verifier: Annotated[Verifier, BeforeValidator(named)] = Field(description="who judges questions and answers")
    method: Literal["zero-shot", "conme", "rl"] = Field(default="zero-shot", description="how questions are come by")
    budget: Budget = Field(default=Budget(), description="when to stop")
    pixels: Pixels = Field(default=Pixels(), description="how servers, and an answerer or verifier here, get pictures")
    k: int = Field(default=2, ge=1, le=9, description="questions in a completion")
    group_size: int = Field(default=4, ge=1, description="completions about a picture")
    images_per_step: int = Field(default=8, ge=1, description="pictures in a step")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of sampling and of the order of the pictures")
    embedder: Literal["minilm", "hashed"] | None = Field(
        default=None, description="of questions, for novelty and diversity; empty: minilm where it is installed"
    )
    prompts: str = Field(default="", description="a folder with prompts in the place of the package's")
    allow_same_model: bool = Field(default=False, description="whether the verifier may be the model under test")
    training: Training = Field(default=Training(), description="where method is rl")
    guards: Guards = Field(default=Guards(), description="what is said, or ends the run, when it goes wrong")

    @model_validator(mode="after")
    def _fits(self) -> Probe:
        if self.method == "rl" and not self.questioner.local:
            raise ValueError("method: expected zero-shot or conme for a questioner behind an endpoint, got rl")
        if self.method == "conme" and self.questioner.local:
            raise ValueError("method: expected zero-shot or rl for a questioner in this process, got conme")
        if self.images.source != WORLD:
            roles = {"questioner": self.questioner, "answerer": self.answerer, "verifier": self.verifier}
            for name, role in roles.items():
                if role.of_world:
                    raise ValueError(
                        f"{name}.model: expected no model of the embedded world for other pictures, got {role.model}"
                    )
            if self.answerer.faults:
                raise ValueError("answerer.faults: expected none for pictures that are not the world's, got a file")
        if self.method == "rl":
            self._learns()
        return self

    def _learns(self) -> None:
        if self.training.schedule == "cosine":
            total, warmup = self.total_steps, self.training.warmup_steps
            if total is None:
                raise ValueError("training: cosine: expected training.total_steps or budget.steps, got neither")
            if warmup >= total:
                raise ValueError(f"training: warmup_steps: expected fewer than the {total} steps in all, got {warmup}")
        if self.questioner.quantization and not self.trains_adapters:
            raise ValueError(
                "questioner: quantization: expected lora or adapters beside it where method is rl, got none"
            )

    @property
    def total_steps(self) -> int | None:
        """Steps at whose end the rate of a cosine schedule is 0."""
        return self.training.total_steps or self.budget.steps

    @property
    def trains_adapters(self) -> bool:
        """Whether what learns, where method is rl, are adapters beside weights that stay as they are."""
        return self.questioner.lora is not None or bool(self.questioner.adapters)
