"""The configuration file of a reproduction with models of one's own, as typed values.

Its roles are written as in `probe.yaml` (`vlmprobe.probe.config`); an example: docs/reproduce.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from vlmprobe._util.json import read_object
from vlmprobe.probe.reading import one_url, sentences
from vlmprobe.probe.roles import CONNECTION, Answerer, Part, Questioner, Verifier
from vlmprobe.studies.plan import ANSWERERS, QUESTIONERS


class Config(Part):
    """All of the file; a budget in a role's `client` is that of one arm."""

    images: str = Field(description="a folder of pictures for training")
    evaluation_images: str = Field(description="a folder for the evaluation: the same, or one apart from it")
    questioners: dict[str, Questioner] = Field(description="small and large")
    answerers: dict[str, Answerer] = Field(description="small, medium and large")
    verifier: Verifier = Field(description="who judges in training")
    evaluator: Verifier = Field(description="who judges the evaluation, another model than the verifier")
    sft_rows: str = Field(description="a file of questions about pictures, for SFT")
    sft_images: str = Field(default="", description="the folder of its pictures; empty: images")
    prompts: str = Field(default="", description="a folder with prompts in the place of the package's")
    scale: dict[str, Any] = Field(default={}, description="sizes in the place of the scale's")
    embedder: Literal["minilm", "hashed"] | None = Field(default=None, description="empty: minilm where installed")

    @model_validator(mode="after")
    def _labels(self) -> Config:
        for name, found, labels in (
            ("questioners", self.questioners, QUESTIONERS),
            ("answerers", self.answerers, ANSWERERS),
        ):
            if set(found) != set(labels):
                raise ValueError(f"{name}: expected {', '.join(labels)}, got {', '.join(found)}")
        for label, questioner in self.questioners.items():
            if not questioner.local or questioner.of_world:
                raise ValueError(f"questioners.{label}.model: expected a folder or a hub's name, it is trained here")
        roles = {**{f"answerers.{label}": role for label, role in self.answerers.items()}, "verifier": self.verifier}
        for name, role in {**roles, "evaluator": self.evaluator}.items():
            if not role.endpoint:
                raise ValueError(f"{name}.endpoint: expected a URL, got none")
        return self


def parse(content: Mapping[str, Any]) -> Config:
    """The typed values of a file's content.

    Raises:
        ValueError: names the key, what was expected and what there was.
    """
    given = {name: one_url(value) for name, value in content.items()}
    for several in ("questioners", "answerers"):
        if isinstance(given.get(several), dict):
            given[several] = {label: one_url(role) for label, role in given[several].items()}
    try:
        return Config.model_validate(given)
    except ValidationError as error:
        raise ValueError(f"[reproduce] config: {'; '.join(sentences(error, Config))}") from None


def read(path: str | Path) -> dict[str, Any]:
    """A configuration file's content; `scale` and `embedder` may stand in it alone.

    Raises:
        ValueError: no such file, no JSON object, or such a value that cannot be.
    """
    content = read_object("reproduce", path)
    if not isinstance(content.get("scale", {}), dict):
        raise ValueError(f"[reproduce] config.scale: expected an object, got {content['scale']!r:.60}")
    if content.get("embedder", "hashed") not in ("minilm", "hashed"):
        raise ValueError(f"[reproduce] config.embedder: expected minilm or hashed, got {content['embedder']!r:.60}")
    return dict(content)


def deciding(config: Config) -> dict[str, Any]:
    """What decides numbers, as plain values."""
    plain = config.model_dump(exclude={"scale", "embedder"})
    return {name: _kept(value) for name, value in plain.items()}


def _kept(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _kept(each) for name, each in value.items() if name not in CONNECTION}
