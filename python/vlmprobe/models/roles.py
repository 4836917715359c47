"""Answerer and verifier as a JSON file describes them: `vlmprobe train --models FILE`.

    {
      "answerer": {
        "model": "Qwen/Qwen2.5-VL-3B-Instruct",
        "revision": "66285546",
        "endpoints": ["http://10.0.0.1:8000/v1", {"url": "https://api.example.com/v1", "key_env": "EXAMPLE_KEY"}],
        "sampling": {"temperature": 0, "max_tokens": 256},
        "prices": {"prompt": 0.10, "completion": 0.40},
        "budget": {"max_calls": 20000, "max_cost": 25},
        "tokens": {"prompt": 400, "completion": 20}
      },
      "verifier": {"model": "...", "endpoints": ["..."], "judge": {"confirm": 2}}
    }

A role that is left out is not behind an endpoint. Only `model` and `endpoints` are needed.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlmprobe._util.checks import check_count
from vlmprobe._util.json import read_object
from vlmprobe.models.chat import ChatClient, Endpoint, Prices, Spent
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.models.forecast import RoleCost
from vlmprobe.models.judges import ANSWERING, JUDGING, ModelAnswerer, ModelVerifier
from vlmprobe.models.model import Model, Sampling
from vlmprobe.models.prompt_files import PromptFiles

_FIELDS = ("model", "revision", "endpoints", "sampling", "client", "prices", "budget", "tokens")
_ENDPOINT = ("url", "key_env", "key_file")
_TOKENS = ("prompt", "completion")
_MOST = 2**53
"""The greatest number that a file may hold: whole ones are exact up to here."""
_MOST_TIMES = 100


@dataclass(frozen=True, kw_only=True)
class Role:
    """A model behind endpoints, and how it is asked."""

    name: str
    """`answerer` or `verifier`."""
    model: str
    endpoints: tuple[Endpoint, ...]
    revision: str = ""
    sampling: Sampling
    client: Mapping[str, Any] = field(default_factory=dict)
    """More arguments of `ChatClient`."""
    prices: Prices | None = None
    budget: Mapping[str, Any] = field(default_factory=dict)
    """max_calls, max_tokens, max_cost: of the whole run, however often it is resumed."""
    tokens: Mapping[str, int] = field(default_factory=dict)
    """prompt, completion: of a call, for a forecast."""
    judge: Mapping[str, Any] = field(default_factory=dict)
    """More arguments of `ModelVerifier`."""

    def read_keys(self) -> None:
        """Reads the endpoints' keys and forgets them: for whoever writes something before it connects.

        Raises:
            ValueError: see `Endpoint.key`.
        """
        for endpoint in self.endpoints:
            endpoint.key()

    def connect(self, *, spent: Spent | None = None) -> ChatClient:
        """The client; nothing is sent yet.

        Args:
            spent: what the run has used of the budget already.

        Raises:
            ValueError: the budget is spent, or options that the client does not take.
        """
        return ChatClient(
            list(self.endpoints),
            model=self.model,
            revision=self.revision,
            prices=self.prices,
            **self._left(spent),
            **self.client,
        )

    def _left(self, spent: Spent | None) -> dict[str, Any]:
        if spent is None:
            return dict(self.budget)
        prices = self.prices or Prices(prompt=0.0, completion=0.0)
        used: dict[str, float] = {
            "max_calls": spent.calls,
            "max_tokens": spent.prompt_tokens + spent.completion_tokens,
            "max_cost": (spent.prompt_tokens * prices.prompt + spent.completion_tokens * prices.completion) / 1e6,
        }
        for name, most in self.budget.items():
            if most <= used[name]:
                raise ValueError(
                    f"[models] {self.name}.budget.{name}: expected more than {used[name]:g}, which the run has used, "
                    f"got {most:g}; raise it to go on"
                )
        return {name: most - used[name] for name, most in self.budget.items()}

    def cost(self) -> RoleCost:
        """What one call takes.

        Raises:
            ValueError: the role has no `tokens`.
        """
        if not self.tokens:
            raise ValueError(
                f'[models] {self.name}.tokens: expected {{"prompt": n, "completion": n}} of one call, for a forecast'
            )
        return RoleCost(
            prompt_tokens=self.tokens["prompt"],
            completion_tokens=self.tokens["completion"],
            prices=self.prices or Prices(prompt=0.0, completion=0.0),
        )

    def answerer(self, model: Model, prompts: PromptFiles, images: EncodedImages) -> ModelAnswerer:
        """The model as an answerer."""
        return ModelAnswerer(model, prompts=prompts, sampling=self.sampling, images=images)

    def verifier(self, model: Model, prompts: PromptFiles, images: EncodedImages) -> ModelVerifier:
        """The model as a verifier."""
        return ModelVerifier(model, prompts=prompts, sampling=self.sampling, images=images, **self.judge)


def read_roles(path: str | Path) -> dict[str, Any]:
    """The file's content, checked; see `roles`.

    Raises:
        ValueError: no such file, no JSON, or what `roles` refuses.
    """
    content = read_object("models", path, what="a JSON file with the models")
    roles(content)
    return content


def roles(content: Mapping[str, Any]) -> dict[str, Role]:
    """The roles by name, made of what a file holds.

    Raises:
        ValueError: a field that is unknown, missing or of another kind; names it.
    """
    known = _fields("models", content, ("answerer", "verifier"))
    return {name: _role(name, value) for name, value in known.items()}


def _role(name: str, content: Any) -> Role:
    given = _fields(name, content, (*_FIELDS, *(("judge",) if name == "verifier" else ())))
    for needed in ("model", "endpoints"):
        if not given.get(needed):
            raise ValueError(f"[models] {name}.{needed}: expected one, got none")
    sampling = ANSWERING if name == "answerer" else JUDGING
    numbers = _typed(f"{name}.sampling", given.get("sampling", {}), _SAMPLING)
    prices = _fields(f"{name}.prices", given.get("prices", {}), _TOKENS)
    return Role(
        name=name,
        model=_text(f"{name}.model", given["model"]),
        revision=_text(f"{name}.revision", given.get("revision", "")),
        sampling=Sampling(**{field: numbers.get(field, getattr(sampling, field)) for field in _SAMPLING}),
        client=_client(f"{name}.client", given.get("client", {})),
        prices=Prices(**_each(f"{name}.prices", prices, _amount, _TOKENS)) if prices else None,
        budget=_typed(f"{name}.budget", given.get("budget", {}), _BUDGET),
        tokens=_tokens(f"{name}.tokens", given.get("tokens")),
        judge=_typed(f"{name}.judge", given.get("judge", {}), _JUDGE),
        endpoints=tuple(_endpoints(f"{name}.endpoints", given["endpoints"])),
    )


def _endpoints(name: str, given: Any) -> list[Endpoint]:
    several = [given] if isinstance(given, (str, Mapping)) else given
    if not isinstance(several, list):
        raise ValueError(f"[models] {name}: expected a list of URLs, got {given!r:.60}")
    found = []
    for i, each in enumerate(several):
        fields = _fields(f"{name}[{i}]", {"url": each} if isinstance(each, str) else each, _ENDPOINT)
        words = _each(f"{name}[{i}]", fields, _text)
        if "url" not in words:
            raise ValueError(f"[models] {name}[{i}].url: expected one, got none")
        try:
            found.append(Endpoint(words.pop("url"), **words))
        except ValueError as error:
            raise ValueError(f"[models] {name}[{i}]: {error}") from None
    return found


def _tokens(name: str, given: Any) -> dict[str, int]:
    if given is None:
        return {}
    tokens = _each(name, _fields(name, given, _TOKENS), _amount, _TOKENS)
    for key, value in tokens.items():
        check_count("models", f"{name}.{key}", value)
    return tokens


def _fields(name: str, content: Any, known: Collection[str]) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        raise ValueError(f"[models] {name}: expected an object, got {type(content).__name__}")
    for key in content:
        if key not in known:
            near = difflib.get_close_matches(str(key), list(known), n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]}?" if near else ""
            if key in ("key", "api_key"):
                hint = "; a key comes from the environment (key_env) or a file (key_file)"
            raise ValueError(f"[models] {name}: expected {', '.join(known)}, got {str(key)[:40]!r}{hint}")
    return dict(content)


def _each(
    name: str, given: Mapping[str, Any], kind: Callable[[str, Any], Any], needed: tuple[str, ...] = ()
) -> dict[str, Any]:
    for key in needed:
        if key not in given:
            raise ValueError(f"[models] {name}.{key}: expected a number, got none")
    return {key: kind(f"{name}.{key}", value) for key, value in given.items()}


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        shown = type(value).__name__ if isinstance(value, (list, Mapping)) else repr(value)  # a list may hold a key
        raise ValueError(f"[models] {name}: expected a text, got {shown:.60}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"[models] {name}: expected a text, got half a character in it")
    return value


def _client(name: str, given: Any) -> dict[str, Any]:
    """A run writes down what it was given: no password may be in it."""
    fields = _typed(name, given, _CLIENT)
    if "@" in fields.get("proxy", ""):
        raise ValueError(f"[models] {name}.proxy: expected a URL without a password")
    return fields


def _typed(name: str, given: Any, kinds: Mapping[str, Callable[[str, Any], Any]]) -> dict[str, Any]:
    return {key: kinds[key](f"{name}.{key}", value) for key, value in _fields(name, given, kinds).items()}


def _amount(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MOST:
        raise ValueError(f"[models] {name}: expected a number of at least 0, got {value!r:.60}")
    return value


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not abs(value) < 2**64:
        raise ValueError(f"[models] {name}: expected a whole number, got {value!r:.60}")
    return value


def _length(name: str, value: Any) -> int:
    if _whole(name, value) < 1:
        raise ValueError(f"[models] {name}: expected at least 1, got {value}")
    return int(value)


def _times(name: str, value: Any) -> int:
    """How often something is asked: a hundred is more than anyone means."""
    if not 0 <= _whole(name, value) <= _MOST_TIMES:
        raise ValueError(f"[models] {name}: expected 0 to {_MOST_TIMES}, got {value}")
    return int(value)


def _share(name: str, value: Any) -> float:
    if not 0 < _amount(name, value) <= 1:
        raise ValueError(f"[models] {name}: expected (0, 1], got {value}")
    return float(value)


def _seed(name: str, value: Any) -> int | None:
    if value is not None and not 0 <= _whole(name, value) < 2**31:
        raise ValueError(f"[models] {name}: expected 0 to {2**31 - 1}, got {value}")
    return None if value is None else int(value)


def _limit(name: str, value: Any) -> float | None:
    return None if value is None else _amount(name, value)


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"[models] {name}: expected true or false, got {value!r:.60}")
    return value


def _object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"[models] {name}: expected an object, got {type(value).__name__}")
    return dict(value)


_BUDGET = {"max_calls": _length, "max_tokens": _length, "max_cost": _amount}
_SAMPLING = {"temperature": _amount, "top_p": _share, "max_tokens": _length, "seed": _seed}
_CLIENT = {
    **dict.fromkeys(("attempt_timeout_s", "deadline_s", "unreachable_s", "first_pause_s"), _amount),
    **dict.fromkeys(("max_attempts", "first_limit", "max_limit", "max_response_bytes"), _length),
    "batch_deadline_s": _limit,
    "schema": _truth,
    "extra": _object,
    "proxy": _text,
}
_JUDGE = {
    "schema": _truth,
    **dict.fromkeys(("votes", "confirm", "again", "more_tokens"), _times),
}
