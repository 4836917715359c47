"""A questioner in this process that is told what to ask about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from vlmprobe.methods.hints import Hints
from vlmprobe.models.prompt_files import PromptFiles
from vlmprobe.models.protocols import Picture
from vlmprobe.policy.preface import Beginnings
from vlmprobe.policy.questioner import Questioner

HintPrompt = Callable[[int, str], str]
"""(k, hint) to what the questioner is asked."""


def told(k: int, hint: str) -> str:
    """What an instructed model is asked: the prompt `questioner_hint` of the package."""
    return _package_prompts().render("questioner_hint", k=k, hint=hint)


@cache
def _package_prompts() -> PromptFiles:
    """Read once, not for each picture."""
    return PromptFiles.load()


class Hinted:
    """The preface with a hint for each image, the same for its whole group; see `vlmprobe.policy.preface.Preface`.

    Args:
        hints: who chooses: a `Bandit`, or `UniformHints`.
        prompt: (k, hint) to what is asked; by default the package's prompt.

    Example:
        >>> asker = questioner.with_preface(Hinted(Bandit(read_hints())))  # doctest: +SKIP
    """

    def __init__(self, hints: Hints, prompt: HintPrompt = told):
        self.learner, self._hints, self._prompt = hints, hints, prompt
        self.identity = hints.identity

    def calls_at_most(self, *, k: int) -> int:
        """None: a hint takes no answer."""
        return 0

    def __call__(
        self, questioner: Questioner, images: Sequence[Picture], *, k: int, seed: int, step: int
    ) -> Beginnings:
        """See `vlmprobe.policy.preface.Preface`."""
        hints, count = self._hints.choose(len(images), seed=seed, step=step), len(images)
        return Beginnings([self._prompt(k, hint) for hint in hints], [""] * count, [0] * count, hints=hints)
