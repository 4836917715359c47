"""The roles of a probe: models, and how each is asked."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from vlmprobe.models.chat import Endpoint

WORLD = "world"
"""Name of the embedded world, where pictures, questioner, answerer or verifier may come from. `world:NAME` is one of
its small models (`vlmprobe.world.tiny.MODELS`)."""
CONNECTION = ("endpoint", "key_env", "key_file", "client", "prices", "device", "batch_size")
"""Fields of a role that may change while a run goes on: where a model is reached, and what may be spent on it."""
FOLDED: dict[str, Any] = {"folded": True}
"""Marks a part that `vlmprobe init` writes in one line as long as nothing in it is set."""


class Part(BaseModel):
    """A part of the file; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


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


class Labeller(Role):
    """Who names the skills that questions need (`vlmprobe taxonomy`)."""


def named(value: Any) -> Any:
    """A part that is a text stands for its first field: `images: photos`, `answerer: MODEL` or `MODEL@URL`."""
    if not isinstance(value, str):
        return value
    model, _, url = value.partition("@http")
    return {"model": model, **({"endpoint": [f"http{url}"]} if url else {})}
