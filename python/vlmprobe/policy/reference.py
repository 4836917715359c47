"""The policy that the KL term holds on to: the weights as they were when the questioner was made."""

from __future__ import annotations

from typing import Literal

from vlmprobe.policy.precision import Watched
from vlmprobe.vlm.model import VisionLanguageModel


class Reference:
    """A model given; the policy itself where it has adapters; a frozen copy, made at once or when it is first wanted.

    Args:
        policy: the model that is trained.
        given: the reference; None: made now; False: made when it is wanted.
    """

    def __init__(self, policy: VisionLanguageModel, given: VisionLanguageModel | Literal[False] | None):
        self._policy, self._model = policy, given or None
        if policy.adapted and self._model is None:
            self._model = policy
        elif given is None:
            self._model = policy.frozen()
        else:
            self._watched = Watched(policy.weights().values())
            self._versions = self._present()

    @property
    def unshared(self) -> str:
        """See `VisionLanguageModel.unshared`."""
        return (self._model or self._policy).unshared

    def model(self) -> VisionLanguageModel:
        """The reference.

        Raises:
            RuntimeError: it was not made, and the weights are no longer what they were.
        """
        if self._model is None:
            if self._present() != self._versions or self._watched.changed() > 0:
                raise RuntimeError(
                    "[Questioner] reference: expected weights as they were when the questioner was made, got others; "
                    "call hold_reference() before the first update and before a checkpoint is loaded"
                )
            self._model = self._policy.frozen()
        return self._model

    def _present(self) -> list[int]:
        """How often torch has seen each weight change."""
        return [weight._version for weight in self._policy.weights().values()]
