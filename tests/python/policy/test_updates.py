"""An update of each kind changes all that it is to change and nothing else, by the gradient of the definition."""

from __future__ import annotations

import warnings
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from support.per_sequence import alone, gradients
from support.tiny_models import other, qwen2_5, qwen3
from vlmprobe import grpo
from vlmprobe.loop.learn import adamw, learn
from vlmprobe.policy.questioner import Questioner
from vlmprobe.vlm.lora import add_lora
from vlmprobe.vlm.model import VisionLanguageModel
from vlmprobe.world.source import WorldImages

IMAGES = [WorldImages(3, seed=77)[i] for i in range(3)]
GRADIENT = 1e-3  # float32: of a gradient, relative to its norm
ON_POLICY = replace(grpo.PAPER, beta=0.0)
SMOL = pytest.param(lambda: other("SmolVLM"), id="SmolVLM")
KINDS = ("full", "lora", "lora with vision")
WAYS = {
    "at once": {},
    "checkpointing": {"checkpointing": True},
    "accumulated": {"micro_groups": 1},
    "both": {"checkpointing": True, "micro_groups": 2},
}


def asker_of(make, kind: str, **changes) -> Questioner:
    """A questioner whose adapters are not what they begin as: at zero, half of their gradients are."""
    model = make()
    if kind != "full":
        torch.manual_seed(1)
        add_lora(model, rank=2, vision=kind == "lora with vision")
        for name, weight in model.model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.05)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="prompts are not shared")
        return Questioner(model, reference=False, **{"max_new_tokens": 8, "temperature": 0.8} | changes)


def to_learn(model: VisionLanguageModel, kind: str) -> set[str]:
    """The parameters that an update of this kind is to change, by their names."""
    names = [name for name, _ in model.model.named_parameters()]
    sees = {name for name in names if any(part in name for part in ("visual.", "vision_model.", "connector."))}
    adapters = {name for name in names if ".lora_" in name}
    assert sees and len(sees) < len(names)
    return {"full": set(names) - sees, "lora": adapters - sees, "lora with vision": adapters}[kind]


def asked(asker: Questioner):
    rollouts = asker.ask(IMAGES, k=2, group_size=2, seed=5, step=1)
    return rollouts, torch.linspace(-1.0, 1.5, len(rollouts))


def credited(rollouts, advantages) -> SimpleNamespace:
    return SimpleNamespace(expect=lambda *names: None, asked=rollouts, advantages=advantages)


def weights_of(asker: Questioner) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in asker.model.model.named_parameters()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [qwen2_5, SMOL])
def test_an_update_changes_all_that_it_is_to_change_and_nothing_else(make, kind):
    asker = asker_of(make, kind)
    before, (rollouts, advantages) = weights_of(asker), asked(asker)
    for way, epochs in [(WAYS[name], 1) for name in WAYS] + [({}, 2)]:
        for name, value in ({"checkpointing": False, "micro_groups": None} | way).items():
            setattr(asker, name, value)
        learned = learn(credited(rollouts, advantages), asker, adamw(asker, 1e-3), loss=ON_POLICY, epochs=epochs)
        after = weights_of(asker)
        changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
        assert changed == to_learn(asker.model, kind), (way, epochs)
        assert learned.changed > 0.5
        for name, weight in asker.model.model.named_parameters():
            weight.data.copy_(before[name])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [qwen2_5, qwen3, SMOL])
def test_gradients_are_those_of_each_sequence_alone(make, kind):
    asker = asker_of(make, kind)
    rollouts, advantages = asked(asker)
    sequences = alone(asker, rollouts, IMAGES)
    torch.stack(
        [-(a * torch.exp(p - p.detach())).mean() for a, p in zip(advantages, sequences, strict=True)]
    ).mean().backward()
    theirs = gradients(asker)
    assert set(theirs) == to_learn(asker.model, kind)
    packings = ("packed", "plain") if not asker.model.unshared else ("plain",)
    for way in [{"packing": packing} | WAYS[name] for packing in packings for name in WAYS]:
        for name, value in ({"checkpointing": False, "micro_groups": None} | way).items():
            setattr(asker, name, value)
        asker.backward(rollouts, advantages, options=ON_POLICY)
        ours = gradients(asker)
        assert set(ours) == set(theirs)
        whole = torch.stack([gradient.norm() for gradient in theirs.values()]).norm()
        for name, gradient in theirs.items():
            assert (ours[name] - gradient).norm() <= GRADIENT * gradient.norm() + 1e-6 * whole, (way, name)


@pytest.mark.parametrize("make", [qwen2_5, SMOL])
def test_the_reference_sees_without_the_adapters_beside_what_sees(make):
    asker = asker_of(make, "lora with vision")
    rollouts, _ = asked(asker)
    bare = Questioner(make(), packing="plain", temperature=0.8, reference=False)
    with torch.no_grad():
        expected = alone(bare, rollouts, IMAGES)
        present = alone(asker, rollouts, IMAGES)
    found = asker._reference_logp(rollouts)
    for b, logp in enumerate(expected):
        assert torch.allclose(found[b, : len(logp)], logp, atol=2e-5)
        assert not torch.allclose(present[b], logp, atol=1e-3)


def test_later_updates_of_a_step_are_clipped_against_the_completions_as_they_were_drawn():
    asker = asker_of(qwen2_5, "full")
    rollouts, advantages = asked(asker)
    once = learn(credited(rollouts, advantages), asker, adamw(asker, 1e-2), loss=ON_POLICY)
    assert once.clip_fraction == 0, "the first update is on-policy"
    again = asker_of(qwen2_5, "full")
    twice = learn(credited(rollouts, advantages), again, adamw(again, 1e-2), loss=ON_POLICY, epochs=2)
    assert twice.clip_fraction > 0.05
