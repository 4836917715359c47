"""What a step of a questioner is held against: each sequence run by itself, written from the definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from vlmprobe.data.image import Image
from vlmprobe.data.pixels import rgb
from vlmprobe.policy.questioner import Questioner


def alone(
    asker: Questioner, rollouts, images: Sequence[Image], *, read: Callable[..., Mapping[str, Tensor]] | None = None
) -> list[Tensor]:
    """[T_b] log-probabilities of each sequence by the model's own forward from pixels and tokens, without any other
    sequence and without padding.

    Args:
        asker: asked for two questions with its own prompt.
        rollouts: of these images.
        images: [I].
        read: (chat, pixels) to what the model is given of a prompt; by default the model's own reading.
    """
    model, found = asker.model, []
    for b, image in enumerate(rollouts.group.tolist()):
        chat, pixels = model._chat(asker.prompt.replace("{k}", "2")), rgb(images[image].pixels)
        given = dict(read(chat, pixels) if read is not None else model.read([chat], [pixels]))
        said, prompt = rollouts.tokens[b, : rollouts.lengths[b]], given["input_ids"]
        for name, each in given.items():
            if each.shape == prompt.shape and name not in ("input_ids", "attention_mask"):
                given[name] = torch.cat([each, torch.zeros_like(said)[None]], 1)
        given["input_ids"] = torch.cat([prompt, said[None]], 1)
        given["attention_mask"] = torch.ones_like(given["input_ids"])
        logits = model.model(**given, use_cache=False).logits[0, prompt.shape[1] - 1 : -1]
        barred = torch.zeros(logits.shape[1]).index_fill(0, model.banned_tokens, -torch.inf)
        logp = torch.log_softmax((logits + barred) / asker.temperature, 1)
        found.append(logp.gather(1, said[:, None])[:, 0])
    return found


def gradients(asker: Questioner) -> dict[str, Tensor]:
    """The gradients that were left by a backward pass, taken away."""
    found = {n: w.grad.clone() for n, w in asker.model.model.named_parameters() if w.grad is not None}
    asker.model.model.zero_grad()
    return found
