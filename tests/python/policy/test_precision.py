"""Weights of small types learn: masters, adapters, and the share that moved."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from support import tiny_runs
from support.tiny_models import qwen3
from vlmprobe import grpo
from vlmprobe.loop import trainer as loop
from vlmprobe.loop.learn import Learned, adamw, learn, stepped, update
from vlmprobe.policy.precision import MasterAdamW, Watched
from vlmprobe.policy.questioner import Questioner
from vlmprobe.run import checkpoint
from vlmprobe.vlm.lora import add_lora
from vlmprobe.world.source import WorldImages

IMAGES = [WorldImages(2, seed=77)[i] for i in range(2)]
RATE = 1e-6  # the default


def small(**changes) -> Questioner:
    model = qwen3()
    model.model.to(torch.bfloat16)
    return Questioner(model, max_new_tokens=8, reference=False, **changes)


def learned(questioner: Questioner, optimizer: torch.optim.Optimizer, updates: int = 5) -> None:
    rollouts = questioner.ask(IMAGES, k=1, group_size=4, seed=1, step=1)
    advantages = torch.linspace(-1, 1, len(rollouts))
    for _ in range(updates):
        optimizer.zero_grad(set_to_none=True)
        questioner.backward(rollouts, advantages, options=grpo.TRL)
        stepped(optimizer, max_grad_norm=1.0)


def share(one: list[torch.Tensor], other: list[torch.Tensor], used: list[torch.Tensor]) -> float:
    """Of the elements that had a gradient: rows of words that were in no batch have none."""
    moved = sum(int((a != b)[u].sum()) for a, b, u in zip(one, other, used, strict=True))
    return moved / sum(int(u.sum()) for u in used)


def test_all_masters_move_and_the_weights_are_the_masters_rounded():
    questioner = small()
    before = [weight.detach().clone() for weight in questioner.parameters()]
    optimizer = adamw(questioner, RATE)
    assert isinstance(optimizer, MasterAdamW)
    learned(questioner, optimizer)
    masters = [optimizer.state[weight]["master"] for weight in questioner.parameters()]
    used = [optimizer.state[weight]["exp_avg"] != 0 for weight in questioner.parameters()]
    assert sum(int(u.sum()) for u in used) > 0.5 * sum(b.numel() for b in before)
    assert all(each.dtype == torch.float32 for each in masters)
    assert share(masters, [b.float() for b in before], used) >= 0.99
    for weight, master in zip(questioner.parameters(), masters, strict=True):
        assert torch.equal(weight, master.bfloat16())
    moved = share(list(questioner.parameters()), before, used)
    assert 0 < moved < 0.2, "what moved is what crossed half of the way to a neighbour"


def test_without_masters_small_steps_are_lost_and_with_them_they_add_up():
    """A weight of 1 has its lower neighbour at 1 - 2^-8: it gets there after half of that, 2^-9, in steps of 1e-4."""
    moved = {}
    for kind in (torch.optim.AdamW, MasterAdamW):
        weight = torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
        optimizer = kind([weight], lr=1e-4, weight_decay=0.0)
        for step in range(1, 40):
            weight.grad = torch.ones_like(weight)
            optimizer.step()
            if (weight != 1).all():
                moved[kind] = step
                break
    assert moved == {MasterAdamW: math.ceil(2**-9 / 1e-4)}


def test_steps_of_masters_are_those_of_float32_weights():
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(7, 5, generator=generator).bfloat16()
    one, other = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.float())
    ours, theirs = MasterAdamW([one], lr=1e-3), torch.optim.AdamW([other], lr=1e-3)
    for _ in range(4):
        gradient = torch.randn(7, 5, generator=generator).bfloat16()
        one.grad, other.grad = gradient, gradient.float()
        ours.step()
        theirs.step()
    assert torch.equal(ours.state[one]["master"], other) and torch.equal(one, other.bfloat16())


def test_float32_weights_learn_as_ever():
    one, other = Questioner(qwen3(), max_new_tokens=8), Questioner(qwen3(), max_new_tokens=8)
    assert type(adamw(one, RATE)) is torch.optim.AdamW
    learned(one, adamw(one, RATE), 2)
    learned(other, MasterAdamW(other.parameters(), lr=RATE, weight_decay=0.0), 2)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_weight_that_was_changed_from_outside_goes_on_from_what_it_is():
    weight = torch.nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
    optimizer = MasterAdamW([weight], lr=1e-4, weight_decay=0.0)
    for value in (1.0, 3.0):
        weight.data[1] = value
        weight.grad = torch.ones_like(weight)
        optimizer.step()
    assert optimizer.state[weight]["master"].tolist() == pytest.approx([1 - 2e-4, 3 - 1e-4], abs=1e-6)


def test_a_checkpoint_holds_the_masters_and_goes_on_as_without_it(tmp_path):
    first = small()
    optimizer = adamw(first, RATE)
    learned(first, optimizer, 2)
    tensors, plain = checkpoint._split(optimizer.state_dict())
    assert any(name.endswith(".master") and value.dtype == torch.float32 for name, value in tensors.items())
    again = small()
    checkpoint.assign([(w, v.detach().clone()) for w, v in zip(again.parameters(), first.parameters(), strict=True)])
    taken_up = adamw(again, RATE)
    from safetensors.torch import save_file

    save_file(tensors, tmp_path / "optimizer.safetensors")
    checkpoint.load_optimizer(tmp_path, taken_up, plain)
    for questioner, each in ((first, optimizer), (again, taken_up)):
        learned(questioner, each, 2)
    for one, other in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
        for name in ("master", "exp_avg", "exp_avg_sq"):
            assert torch.equal(optimizer.state[one][name], taken_up.state[other][name])


def test_adapters_beside_small_weights_all_move():
    model = qwen3()
    model.model.to(torch.bfloat16)
    questioner = Questioner(add_lora(model, rank=4), max_new_tokens=8)
    before = [weight.detach().clone() for weight in questioner.parameters()]
    optimizer = adamw(questioner, RATE)
    learned(questioner, optimizer)
    used = [optimizer.state[weight]["exp_avg"] != 0 for weight in questioner.parameters()]
    assert share([w.detach() for w in questioner.parameters()], before, used) >= 0.99


def test_the_share_that_changed_is_counted_by_size():
    weights = [torch.zeros(30), torch.zeros(9, 10), torch.zeros(0), torch.zeros(20_000)]
    watched = Watched(weights)
    assert watched.changed() == 0.0
    weights[1].view(-1)[:45] = 1.0
    assert watched.changed() == pytest.approx(45 / 20_120)
    weights[3][:10_000] = 1.0  # one in five of these is watched
    assert watched.changed() == pytest.approx(10_045 / 20_120, abs=1e-4)
    assert math.isnan(Watched([]).changed())


@pytest.mark.parametrize("micro_groups", [None, 1])
def test_an_update_of_a_run_says_what_share_of_the_weights_it_changed(monkeypatch, micro_groups):
    trainer, seen = tiny_runs.make(), []
    trainer.questioner.micro_groups = micro_groups
    monkeypatch.setattr(loop, "learn", lambda *given, **named: seen.append(learn(*given, **named)) or seen[-1])
    before = Watched(trainer.questioner.parameters())
    trainer.train(1)
    assert seen[0].changed == before.changed() > 0.5


def test_the_share_is_among_the_numbers_of_a_step():
    found = Learned(loss=1.0, kl=0.0, entropy=2.0, clip_fraction=0.0, grad_norm=1.0, changed=0.5)
    assert found.numbers["changed"] == 0.5 and len(found.numbers) == 6


def test_a_gradient_that_is_not_finite_moves_no_master():
    weight = torch.nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
    optimizer = MasterAdamW([weight], lr=0.1)
    before = copy.deepcopy(weight)
    assert not math.isfinite(update(optimizer, (weight * math.inf).sum(), max_grad_norm=1.0))
    assert torch.equal(weight, before) and not optimizer.state
