"""Models of any class, by their own forward and generate: real classes, small random weights."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image as PILImage

from support.per_sequence import alone, gradients
from support.tiny_models import OTHERS, other, qwen2_5, qwen3
from vlmprobe import grpo
from vlmprobe.data import Image
from vlmprobe.models.replies import Failure
from vlmprobe.policy.questioner import Questioner
from vlmprobe.vlm.answerer import HFAnswerer
from vlmprobe.vlm.lora import add_lora
from vlmprobe.vlm.model import VisionLanguageModel
from vlmprobe.vlm.plain import PlainModel
from vlmprobe.world.source import WorldImages

classes = pytest.mark.parametrize("name", list(OTHERS))

LOGP = 1e-4  # float32, one pass against a decode loop with a cache
MEANS = dataclasses.replace(grpo.PAPER, beta=0.0)  # the mean over sequences of their means over tokens
GRADIENT = 1e-4  # float32: of a gradient, relative to its norm

WORLD = WorldImages(2, seed=77)
NOISE = torch.randint(256, (40, 96, 3), generator=torch.Generator().manual_seed(5), dtype=torch.uint8).numpy()
WIDE = Image(9, "wide.png", PILImage.fromarray(NOISE))
IMAGES = [WORLD[0], WIDE, WORLD[1]]  # of different sizes: fewer or more pieces, and tokens
TEXTS = ["ask 2 questions", "how many objects are there ? is there a red circle ?", "?"]


def questioner(name: str, **changes) -> Questioner:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="prompts are not shared")
        return Questioner(other(name), **{"max_new_tokens": 9, "temperature": 0.8} | changes)


def ask(asker: Questioner, images=IMAGES, **changes):
    return asker.ask(images, **{"k": 2, "group_size": 3, "seed": 5, "step": 1} | changes)


def by_itself(asker: Questioner, rollouts) -> list[torch.Tensor]:
    """The same by the processor alone: nothing of the way that is tested."""
    processor = asker.model.processor
    read = lambda chat, pixels: processor(text=[chat], images=[pixels], return_tensors="pt")  # noqa: E731
    return alone(asker, rollouts, IMAGES, read=read)


def assert_same_gradients(ours, theirs):
    assert ours.keys() == theirs.keys() and len(ours) > 3
    whole = torch.stack([gradient.norm() for gradient in theirs.values()]).norm()
    for name, gradient in theirs.items():
        assert (ours[name] - gradient).norm() <= GRADIENT * gradient.norm() + 1e-6 * whole, name


@classes
def test_a_picture_reaches_the_model(name):
    model = other(name)
    pixels = WORLD[0].pixels.copy()
    pixels.paste("white", (8, 8, 24, 24))
    tokens, mask = torch.full((2, 4), 40), torch.ones(2, 4, dtype=torch.bool)
    with torch.no_grad():
        prompts = model.prompts([WORLD[0], Image(5, "painted", pixels)], ["ask 2 questions"] * 2)
        first, second = model.logits(prompts, tokens, mask)
    allowed = first.isfinite()
    assert torch.equal(*prompts.ids) and (first - second)[allowed].abs().max() > 1e-3


@classes
def test_equal_names_give_equal_draws_whatever_is_beside_them(name):
    asker = questioner(name)
    first, again, later = ask(asker), ask(asker), ask(asker, step=2)
    assert torch.equal(first.tokens, again.tokens) and torch.equal(first.logp, again.logp)
    assert first.texts == again.texts != later.texts
    asker.micro_groups = 2
    parts = ask(asker)
    assert torch.equal(parts.tokens, first.tokens) and torch.allclose(parts.logp, first.logp, atol=LOGP)
    few = ask(asker, images=IMAGES[:1])
    assert torch.equal(few.tokens[few.mask], first.tokens[:3, : few.tokens.shape[1]][few.mask])


@classes
def test_sampled_log_probabilities_are_those_of_each_sequence_alone(name):
    asker = questioner(name)
    rollouts = ask(asker)
    again = asker._logp(asker.model, rollouts)
    assert torch.allclose(again, rollouts.logp, atol=LOGP)
    with torch.no_grad():
        for b, logp in enumerate(by_itself(asker, rollouts)):
            assert torch.allclose(rollouts.logp[b, : len(logp)], logp, atol=LOGP)
            assert not rollouts.logp[b, len(logp) :].any()


@classes
def test_loss_and_gradient_are_those_of_each_sequence_alone(name):
    asker = questioner(name)
    rollouts = ask(asker, images=IMAGES[:2])
    advantages = torch.linspace(-1.0, 1.5, len(rollouts))
    found = asker.loss(rollouts, advantages, options=MEANS)
    found.loss.backward()
    ours = gradients(asker)
    # on-policy: the ratio is 1 and its gradient that of logp
    sequences = by_itself(asker, rollouts)
    terms = [-(a * torch.exp(logp - logp.detach())).mean() for a, logp in zip(advantages, sequences, strict=True)]
    loss = torch.stack(terms).mean()
    loss.backward()
    assert found.loss.item() == pytest.approx(loss.item(), abs=1e-5)
    assert_same_gradients(ours, {n: g for n, g in gradients(asker).items() if n in ours})
    assert not any("vision" in weight or "connector" in weight or "projector" in weight for weight in ours)


@classes
def test_parts_and_checkpointing_change_no_gradient(name):
    asker = questioner(name, max_new_tokens=5)
    rollouts = ask(asker, group_size=2)
    advantages = torch.linspace(-1.0, 1.5, len(rollouts))
    whole = asker.backward(rollouts, advantages, options=grpo.PAPER)
    theirs = gradients(asker)
    for micro_groups, checkpointing in ((1, False), (2, True)):
        asker.micro_groups, asker.checkpointing = micro_groups, checkpointing
        parts = asker.backward(rollouts, advantages, options=grpo.PAPER)
        assert parts.loss.item() == pytest.approx(whole.loss.item(), abs=1e-5)
        assert_same_gradients(gradients(asker), theirs)


@classes
def test_special_tokens_are_never_drawn(name):
    asker = questioner(name, temperature=50.0, max_new_tokens=16)  # nearly uniform over what is allowed
    rollouts = ask(asker, images=IMAGES[:1], group_size=16)
    assert not torch.isin(rollouts.tokens[rollouts.mask], asker.model.banned_tokens).any()
    assert len(rollouts.tokens[rollouts.mask].unique()) > 50


@classes
def test_answers_are_the_most_likely_tokens_and_do_not_depend_on_the_batch(name):
    model = other(name)
    prompts = model.prompts(IMAGES, TEXTS)
    together, checked = model.greedy(prompts, 5), 0
    for i, (image, text) in enumerate(zip(IMAGES, TEXTS, strict=True)):
        said = torch.zeros(1, 0, dtype=torch.int64)
        for _ in range(5):
            following = torch.cat([said, torch.zeros(1, 1, dtype=torch.int64)], 1)
            unbarred = model.prompts([image], [text]).followed(following, torch.ones_like(following))
            token = model.model(**unbarred.inputs(), use_cache=False).logits[:, -2].argmax(-1, keepdim=True)
            if token in model.banned_ids or token in model.eos_ids:  # a token of a picture cannot be run again
                break
            said = torch.cat([said, token], 1)
        assert together[i, : said.shape[1]].tolist() == said[0].tolist()
        checked += said.shape[1]
    assert checked >= 3
    answers = [HFAnswerer(model, batch_size=size).answer(IMAGES, TEXTS) for size in (1, 3)]
    assert answers[0] == answers[1]


@classes
def test_a_folder_is_opened_as_it_was_written(name, tmp_path):
    model = other(name)
    model.save(tmp_path)
    again = VisionLanguageModel.load(tmp_path)
    assert isinstance(again, PlainModel) and again.banned_ids == model.banned_ids and again.eos_ids == model.eos_ids
    ours, theirs = model.prompts(IMAGES, TEXTS), again.prompts(IMAGES, TEXTS)
    assert torch.equal(ours.ids, theirs.ids)
    tokens, mask = torch.full((3, 4), 40), torch.ones(3, 4, dtype=torch.bool)
    with torch.no_grad():
        assert torch.equal(model.logits(ours, tokens, mask), again.logits(theirs, tokens, mask))


@pytest.mark.parametrize("name", ["SmolVLM", "LlavaOnevision", "InternVL"])
def test_a_folder_with_a_video_processor_that_this_machine_cannot_open_is_opened_without_it(name, tmp_path):
    model = other(name)
    model.save(tmp_path)
    file = Path(tmp_path) / "processor_config.json"
    content = json.loads(file.read_text()) | {"processor_class": f"{name}Processor"}
    content["video_processor"] = {"video_processor_type": f"{name}VideoProcessor"}
    file.write_text(json.dumps(content))
    again = VisionLanguageModel.load(tmp_path)
    assert torch.equal(again.prompts(IMAGES, TEXTS).ids, model.prompts(IMAGES, TEXTS).ids)


@classes
def test_adapters_of_the_language_part_alone_learn_and_are_opened_again(name, tmp_path):
    asker = Questioner(add_lora(other(name), rank=2), max_new_tokens=6, packing="plain")
    assert asker.reference is asker.model
    for weight in asker.parameters():
        weight.data.normal_(0, 0.1, generator=torch.Generator().manual_seed(1))
    rollouts = ask(asker, images=IMAGES[:2])
    assert asker.backward(rollouts, torch.linspace(-1, 1, len(rollouts)), options=grpo.PAPER).kl > 0
    found = gradients(asker)
    assert found and all(f"{asker.model.language_part}." in n and "lora_" in n and g.any() for n, g in found.items())
    asker.model.save(tmp_path)
    again = Questioner(VisionLanguageModel.load(tmp_path, base=other(name)), max_new_tokens=6, packing="plain")
    assert torch.equal(ask(again, images=IMAGES[:2]).tokens, rollouts.tokens)


@classes
def test_small_types_are_sampled_and_learned(name):
    asker = Questioner(other(name, torch.bfloat16), max_new_tokens=6, packing="plain", reference=False)
    rollouts = ask(asker)
    asker.backward(rollouts, torch.linspace(-1, 1, len(rollouts)), options=grpo.TRL)
    assert all(g.isfinite().all() for g in gradients(asker).values())


@classes
def test_a_question_that_spells_special_tokens_is_asked_as_text(name):
    model = other(name)
    spelled = "".join(model.processor.tokenizer.get_added_vocab())
    for text in (spelled, "a <|eos|> <|user|> <|assistant|> b"):
        plain, hostile = (model.prompts([WORLD[0]], [each]).ids[0].tolist() for each in ("?", text))
        assert model._marks(hostile) == model._marks(plain) and len(hostile) > len(plain)


def test_a_row_that_cannot_be_asked_is_rejected_alone_and_named():
    model = other("SmolVLM")
    broken = SimpleNamespace(id=3, key="broken.webp", sha256="0", pixels=None)
    texts = [TEXTS[0], "red " * 2000, TEXTS[0], TEXTS[0]]
    with pytest.warns(UserWarning, match=r"long|broken"):
        replies = HFAnswerer(model).answer([WORLD[0], Image(1, "long", WIDE.pixels), broken, WORLD[0]], texts)
    assert [reply.failure is Failure.REJECTED for reply in replies] == [False, True, True, False]
    assert replies[1].error.startswith("long: the text: expected fewer than 1024 tokens")
    assert replies[0] == replies[3] == HFAnswerer(model).answer([WORLD[0]], TEXTS[:1])[0]
    asker = questioner("SmolVLM")
    assert asker.cannot_ask(WORLD[0]) == "" and asker.cannot_ask(broken).startswith("broken.webp: ")


@pytest.mark.parametrize("micro_groups", [None, 1])
def test_groups_are_told_as_soon_as_they_are_drawn(micro_groups):
    asker, told = questioner("Idefics3", micro_groups=micro_groups), {}
    rollouts = ask(asker, on_group=told.__setitem__)
    assert {i: rollouts.texts[3 * i : 3 * i + 3] for i in range(3)} == told


def test_what_a_checkpoint_says_of_generation_does_not_hold():
    model = other("InternVL")
    first = model.greedy(model.prompts(IMAGES, TEXTS), 6)
    settings = model.model.generation_config
    settings.repetition_penalty, settings.do_sample, settings.temperature = 5.0, True, 3.0
    assert torch.equal(model.greedy(model.prompts(IMAGES, TEXTS), 6), first)
    assert model.model.generation_config is settings


def test_what_it_costs_is_said_once_and_sharing_is_refused():
    with pytest.warns(UserWarning, match=r"SmolVLMFor.* with each of the G completions.* picture G times"):
        asker = Questioner(other("SmolVLM"), max_new_tokens=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rollouts = asker.with_preface(None).ask(IMAGES, k=2, group_size=2, seed=0, step=0)
        asker.backward(rollouts, torch.ones(len(rollouts)), options=grpo.PAPER)
    with pytest.raises(ValueError, match=r"^\[Questioner\] packing: SmolVLMForConditionalGeneration is run by its own"):
        Questioner(other("SmolVLM"), packing="packed")


def test_a_template_that_writes_the_begin_of_text_gets_no_second_one():
    from tokenizers.processors import TemplateProcessing

    made = other("Gemma3")
    tokenizer = made.processor.tokenizer
    tokenizer.add_special_tokens({"bos_token": "<|bos|>"})
    begin = tokenizer.bos_token_id
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|bos|> $A", special_tokens=[("<|bos|>", begin)]
    )
    assert tokenizer("a")["input_ids"][0] == begin
    for template, expected in ((tokenizer.chat_template, 1), ("<|bos|>" + tokenizer.chat_template, 1)):
        made.processor.chat_template = template
        model = PlainModel(made.model, made.processor, identity="begins")
        assert model.prompts(IMAGES[:1], TEXTS[:1]).ids[0].tolist().count(begin) == expected


@pytest.mark.parametrize("make", [qwen2_5, qwen3])
def test_the_plain_way_is_the_packed_one_where_both_can_go(make):
    packed = Questioner(make(), max_new_tokens=12)
    plain = Questioner(PlainModel(make().model, make().processor, identity="qwen"), max_new_tokens=12, packing="plain")
    images = [WORLD[0], WORLD[1]]
    ours, theirs = ask(plain, images), ask(packed, images)
    assert torch.equal(ours.tokens, theirs.tokens) and torch.equal(ours.mask, theirs.mask)
    assert torch.allclose(ours.logp, theirs.logp, atol=LOGP) and ours.texts == theirs.texts
    advantages, losses = torch.linspace(-1.0, 1.5, len(ours)), []
    for asker, rollouts in ((plain, ours), (packed, theirs)):
        losses.append(asker.backward(rollouts, advantages, options=grpo.PAPER).loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert_same_gradients(gradients(plain), gradients(packed))
    answers = [HFAnswerer(asker.model).answer(images, TEXTS[:2]) for asker in (plain, packed)]
    assert answers[0] == answers[1]
