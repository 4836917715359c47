"""The reference is the weights as they were when the questioner was made, whenever it is made."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from support.tiny_models import qwen3
from vlmprobe import grpo
from vlmprobe.policy.questioner import Questioner
from vlmprobe.run.checkpoint import assign
from vlmprobe.vlm.lora import add_lora
from vlmprobe.vlm.model import VisionLanguageModel
from vlmprobe.world.source import WorldImages

IMAGES = [WorldImages(2, seed=77)[i] for i in range(2)]
NO_KL = dataclasses.replace(grpo.PAPER, beta=0.0)


@pytest.fixture
def copies(monkeypatch) -> list[VisionLanguageModel]:
    made: list[VisionLanguageModel] = []
    frozen = VisionLanguageModel.frozen
    monkeypatch.setattr(VisionLanguageModel, "frozen", lambda self: made.append(frozen(self)) or made[-1])
    return made


def learn(questioner: Questioner, options: grpo.LossOptions) -> grpo.Loss:
    rollouts = questioner.ask(IMAGES, k=1, group_size=2, seed=1, step=1)
    optimizer = torch.optim.SGD(questioner.parameters(), lr=0.1)
    optimizer.zero_grad()
    found = questioner.backward(rollouts, torch.linspace(-1, 1, len(rollouts)), options=options)
    optimizer.step()
    return found


def test_no_copy_is_made_where_beta_is_0(copies):
    questioner = Questioner(qwen3(), max_new_tokens=6, reference=False)
    for _ in range(2):
        learn(questioner, NO_KL)
    assert not copies


def test_a_copy_that_is_made_at_the_first_loss_is_that_of_the_beginning(copies):
    late, early = Questioner(qwen3(), max_new_tokens=6, reference=False), Questioner(qwen3(), max_new_tokens=6)
    assert len(copies) == 1
    for _ in range(3):
        ours, theirs = learn(late, grpo.PAPER), learn(early, grpo.PAPER)
        assert torch.equal(ours.loss, theirs.loss) and torch.equal(ours.monitors, theirs.monitors)
    assert len(copies) == 2 and ours.kl > 0


def test_the_copy_is_the_same_for_all_ways_of_asking(copies):
    questioner = Questioner(qwen3(), max_new_tokens=6, reference=False)
    other = questioner.with_preface(None, prompt="ask {k} questions now")
    learn(other, grpo.PAPER)
    assert questioner.reference is other.reference is copies[0]


def step(questioner):
    learn(questioner, NO_KL)


def one_value(questioner):
    questioner.parameters()[0].data[0] += 1.0


def one_value_of_many(questioner):
    weight = max(questioner.parameters(), key=torch.numel)
    with torch.no_grad():
        weight.view(-1)[1] += 1.0


def a_checkpoint(questioner):
    assign([(weight, weight + 1e-6) for weight in questioner.parameters()])


@pytest.mark.parametrize("change", [step, one_value, one_value_of_many, a_checkpoint])
def test_weights_that_have_changed_are_no_reference(change):
    questioner = Questioner(qwen3(), max_new_tokens=6, reference=False)
    change(questioner)
    with pytest.raises(RuntimeError, match=r"^\[Questioner\] reference: .* call hold_reference\(\) before the first"):
        learn(questioner, grpo.PAPER)
    held = Questioner(qwen3(), max_new_tokens=6, reference=False)
    kept = held.hold_reference()
    change(held)
    assert held.reference is kept and learn(held, grpo.PAPER).kl >= 0


def test_adapters_need_no_copy_and_another_model_may_be_given(copies):
    adapted = Questioner(add_lora(qwen3(), rank=2), max_new_tokens=6, reference=False)
    assert adapted.reference is adapted.model
    given = qwen3()
    assert Questioner(qwen3(), reference=given).reference is given and not copies


def test_anchored_holds_on_to_the_present_weights():
    questioner = Questioner(qwen3(), max_new_tokens=6, reference=False)
    learn(questioner, NO_KL)
    anchored = questioner.anchored()
    for one, other in zip(anchored.reference.model.parameters(), questioner.model.model.parameters(), strict=True):
        assert torch.equal(one, other)
