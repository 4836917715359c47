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

from pydantic import BeforeValidator, Field, field_validator, model_validator

from vlmprobe import reward
from vlmprobe.grpo.options import AdvantageOptions
from vlmprobe.probe.roles import WORLD, Answerer, Labeller, Part, Questioner, Verifier, named

FILE = "probe.yaml"
Method = Literal["auto", "bandit", "zero-shot", "conme", "rl", "hinted-rl"]
GATED = "paper-no-penalty"
"""The reward under hints: validity is a gate, and nothing is subtracted."""


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


class Hints(Part):
    """What the questioner is told to ask about, where method is bandit or hinted-rl."""

    file: str = Field(
        default="",
        description="one a line; empty: the package's visual skills, or the words and word pairs of the world",
    )
    follow_up: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="most of a step's pictures about which, in place of a hint, what failed is asked again",
    )


class Training(Part):
    """How a questioner in this process learns, where method is rl."""

    reward: str = Field(
        default="", description="a preset's name or an expression; empty: paper, or, for hinted-rl, its gate alone"
    )
    within: Literal["none", "sequence", "step"] | None = Field(
        default=None, description="whose repeats count in novelty at once; empty: none, or, for hinted-rl, step"
    )
    advantages: Literal["group", "batch", "none"] | None = Field(
        default=None,
        description="whose standard deviation divides them; empty: that of the group, or, for hinted-rl, none",
    )
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
    report_to: list[Literal["tensorboard", "wandb", "trackio"]] = Field(
        default=[], description="any of tensorboard, wandb and trackio, which get the numbers of each step besides"
    )

    @model_validator(mode="after")
    def _reads(self) -> Training:
        if self.reward:
            reward.parse(self.reward)
        return self


GUARDS = Literal[
    "unscored", "truncated", "repeats", "prefixes", "length", "contradictions", "term", "degenerate", "entropy", "kl"
]  # fmt: skip


class Guards(Part):
    """What is said when it begins, looked for in the last steps; `stop` names what ends the run besides."""

    stop: list[GUARDS] = Field(
        default=[],
        description="any of unscored, truncated, repeats, prefixes, length, contradictions, term, degenerate, entropy, "
        "kl",
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
    contradictions: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="most of its own answers to a kind of failure that the verifier may reject",
    )
    own_answers: int = Field(
        default=4, ge=0, description="failures of a step about which the verifier is asked for its own answer; 0: none"
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


def sourced(value: Any) -> Any:
    """`images: photos` is `images: {source: photos}`."""
    return {"source": value} if isinstance(value, str) else value


class Probe(Part):
    """All of the file."""

    images: Annotated[Images, BeforeValidator(sourced)] = Field(description="the pictures")
    questioner: Annotated[Questioner, BeforeValidator(named)] = Field(description="who asks")
    answerer: Annotated[Answerer, BeforeValidator(named)] = Field(description="the model under test")
    verifier: Annotated[Verifier, BeforeValidator(named)] = Field(description="who judges questions and answers")
    labeller: Annotated[Labeller | None, BeforeValidator(named)] = Field(
        default=None, description="who names the skills of questions, for vlmprobe taxonomy"
    )
    method: Method = Field(
        default="auto", description="how questions are come by; auto: bandit, or zero-shot for who cannot be told hints"
    )
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
    hints: Hints = Field(default=Hints(), description="where method is bandit or hinted-rl")
    training: Training = Field(default=Training(), description="where method is rl or hinted-rl")
    guards: Guards = Field(default=Guards(), description="what is said, or ends the run, when it goes wrong")

    @model_validator(mode="after")
    def _fits(self) -> Probe:
        if self.learns and not self.questioner.local:
            raise ValueError(
                f"method: expected bandit, zero-shot or conme for a questioner behind an endpoint, got {self.method}"
            )
        if self.method == "conme" and self.questioner.local:
            raise ValueError("method: expected bandit, zero-shot, rl or hinted-rl for a questioner here, got conme")
        if self.questioner.python and self.way != "zero-shot":
            raise ValueError(f"method: expected zero-shot for a function that asks, got {self.method}")
        if self.way in ("bandit", "hinted-rl") and not self._can_be_told:
            raise ValueError(f"method: expected one without hints for {self.questioner.model}, got {self.method}")
        if self.images.source != WORLD:
            roles = {"questioner": self.questioner, "answerer": self.answerer, "verifier": self.verifier}
            for name, role in roles.items():
                if role.of_world:
                    raise ValueError(
                        f"{name}.model: expected no model of the embedded world for other pictures, got {role.model}"
                    )
            if self.answerer.faults:
                raise ValueError("answerer.faults: expected none for pictures that are not the world's, got a file")
        if self.learns:
            self._check_training()
        return self

    def _check_training(self) -> None:
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
    def way(self) -> str:
        """How questions are come by."""
        if self.method != "auto":
            return self.method
        return "bandit" if self._can_be_told else "zero-shot"

    @property
    def _can_be_told(self) -> bool:
        """Whether the questioner understands hints: functions are told none, the world's broad models learned none."""
        return not self.questioner.python and not self.questioner.model.startswith("world:questioner-broad")

    @property
    def learns(self) -> bool:
        """Whether the questioner is trained."""
        return self.method in ("rl", "hinted-rl")

    @property
    def reward(self) -> str:
        """What a question earns in training. Under hints validity is a gate and nothing is subtracted: the penalty of
        the paper's reward would teach validity in the place of what the hint asks for (docs/methods.md)."""
        return self.training.reward or (GATED if self.method == "hinted-rl" else "paper")

    @property
    def within(self) -> str:
        """Whose repeats count in novelty at once."""
        return self.training.within or ("step" if self.method == "hinted-rl" else "none")

    @property
    def advantages(self) -> AdvantageOptions:
        """How rewards become advantages. Under hints they are not divided, so that a failure of a kind that is known by
        now, which earns little, does not push as hard as the first of its kind."""
        scale = self.training.advantages or ("none" if self.method == "hinted-rl" else "group")
        return AdvantageOptions(scale=scale)

    @property
    def total_steps(self) -> int | None:
        """Steps at whose end the rate of a cosine schedule is 0."""
        return self.training.total_steps or self.budget.steps

    @property
    def trains_adapters(self) -> bool:
        """Whether what learns, where method is rl, are adapters beside weights that stay as they are."""
        return self.questioner.lora is not None or bool(self.questioner.adapters)
