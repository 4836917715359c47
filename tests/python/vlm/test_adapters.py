"""Trained adapters are opened in another process, with their base, and nowhere else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from support import tiny_runs
from vlmprobe.policy.questioner import Questioner
from vlmprobe.run.checkpoint import _write_weights
from vlmprobe.vlm import shipped
from vlmprobe.vlm.lora import add_lora
from vlmprobe.vlm.model import VisionLanguageModel
from vlmprobe.world import tiny
from vlmprobe.world.source import WorldImages

IMAGES = [WorldImages(2, seed=9)[i] for i in range(2)]
ASKED = {"k": 1, "group_size": 2, "seed": 1, "step": 1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "questioner"


def trained(
    folder: Path, *, base: str | Path = "vlmprobe:world/questioner", dtype=torch.float32, vision: bool = False
) -> Questioner:
    """A questioner whose adapters are not what they were at first, and its folder `questioner/` of a checkpoint."""
    torch.manual_seed(3)
    model = add_lora(VisionLanguageModel.load(base, dtype=dtype), rank=2, vision=vision)
    questioner = Questioner(model, max_new_tokens=12)
    for weight in questioner.parameters():
        weight.data.normal_(0, 0.1)
    _write_weights(folder.parent, questioner)
    return questioner


def changed(folder: Path, file: str, **fields) -> None:
    content = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(content | fields))


def test_another_process_says_the_same_with_the_adapters_of_a_checkpoint(tmp_path):
    trainer = tiny_runs.make(adapters=True)
    trainer.train(1)
    folder = trainer.save(tmp_path) / "questioner"
    program = (
        "import sys; from vlmprobe import Questioner; from vlmprobe.vlm.model import VisionLanguageModel\n"
        "from vlmprobe.world.source import WorldImages\n"
        "questioner = Questioner(VisionLanguageModel.load(sys.argv[1]))\n"
        "images = [WorldImages(2, seed=9)[i] for i in range(2)]\n"
        "print(questioner.ask(images, k=1, group_size=2, seed=1, step=1).tokens.tolist(), len(questioner.parameters()))"
    )
    run = subprocess.run([sys.executable, "-c", program, folder], capture_output=True, text=True, check=True, cwd="/")
    said, weights = trainer.questioner.ask(IMAGES, **ASKED), len(trainer.questioner.parameters())
    assert run.stdout.strip() == f"{said.tokens.tolist()} {weights}"


def test_what_is_opened_is_trained_on_as_it_would_have_been(folder):
    first = trained(folder)
    again = Questioner(VisionLanguageModel.load(folder), max_new_tokens=12)
    names = [name for name, weight in first.model.model.named_parameters() if weight.requires_grad]
    assert [name for name, weight in again.model.model.named_parameters() if weight.requires_grad] == names
    for questioner in (first, again):
        said = questioner.ask(IMAGES, **ASKED)
        questioner.loss(said, torch.ones(len(said)), options=tiny_runs.TINY.loss).loss.backward()
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert again.model.adapted and again.reference is again.model


def test_a_checkpoint_names_no_path_of_this_machine_where_the_base_is_the_packages(folder):
    trained(folder, base=tiny.WEIGHTS / "questioner")
    for file in ("base.json", "adapter_config.json"):
        assert "vlmprobe:world/questioner" in (folder / file).read_text()
        assert str(tiny.WEIGHTS) not in (folder / file).read_text()


@pytest.mark.parametrize("vision", [False, True])
def test_plain_peft_opens_them_beside_the_base_and_says_the_same(folder, vision):
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    first = trained(folder, vision=vision)
    base = AutoModelForImageTextToText.from_pretrained(tiny.WEIGHTS / "questioner", dtype=torch.float32)
    theirs = PeftModel.from_pretrained(base, folder).eval()
    read = first.model.read([first.model._chat("ask 2 questions")], [IMAGES[0].pixels])
    with torch.no_grad():
        expected, without = first.model.model(**read).logits, tiny.load("questioner").model(**read).logits
        found = theirs(**read).logits
    assert torch.allclose(found, expected, atol=1e-5) and not torch.allclose(found, without, atol=1e-2)
    assert vision == any("visual" in name for name, _ in theirs.named_parameters() if ".lora_" in name)


def test_the_type_of_the_weights_is_kept_unless_another_is_asked_for(folder):
    trained(folder, dtype=torch.bfloat16)
    kept, asked = VisionLanguageModel.load(folder), VisionLanguageModel.load(folder, dtype=torch.float32)
    assert {w.dtype for name, w in kept.model.named_parameters() if ".lora_" not in name} == {torch.bfloat16}
    assert {weight.dtype for weight in asked.model.parameters()} == {torch.float32}


def test_adapters_are_float32_beside_weights_of_any_type_and_come_back_unrounded(folder):
    first = trained(folder, dtype=torch.bfloat16)
    again = Questioner(VisionLanguageModel.load(folder), max_new_tokens=12)
    for one, other in zip(first.parameters(), again.parameters(), strict=True):
        assert one.dtype == other.dtype == torch.float32 and torch.equal(one, other)
        assert not torch.equal(one, one.bfloat16().float())
    said = again.ask(IMAGES, **ASKED)
    assert torch.equal(said.tokens, first.ask(IMAGES, **ASKED).tokens)
    again.loss(said, torch.ones(len(said)), options=tiny_runs.TINY.loss).loss.backward()
    assert all(weight.grad.dtype == torch.float32 and weight.grad.any() for weight in again.parameters())


@pytest.mark.parametrize("base", ["vlmprobe:world/answerer", "vlmprobe:world/questioner-medium"])
def test_another_base_is_refused_by_name(folder, base):
    """Of the same shape, and of another one."""
    trained(folder)
    with pytest.raises(ValueError, match=rf"trained beside \(vlmprobe:world/questioner\), got others \({base}\)"):
        VisionLanguageModel.load(folder, base=base)


def test_adapters_of_others_find_their_base_by_its_name_and_are_refused_where_they_do_not_fit(folder):
    first = trained(folder)
    (folder / "base.json").unlink()  # PEFT writes none
    again = Questioner(VisionLanguageModel.load(folder), max_new_tokens=12)
    assert torch.equal(first.ask(IMAGES, **ASKED).tokens, again.ask(IMAGES, **ASKED).tokens)
    other = tiny.load("questioner-medium")
    before = len(Questioner(other).parameters())
    with pytest.raises(ValueError, match=r"^\[add_lora\] .* expected adapters of questioner-medium, got others"):
        VisionLanguageModel.load(folder, base=other)
    assert not other.adapted and len(Questioner(other).parameters()) == before, "it is as it was"


def test_a_base_that_is_given_gets_the_adapters(folder):
    first, base = trained(folder), tiny.load("questioner")
    again = add_lora(base, adapters=folder)
    assert again is base and torch.equal(
        first.ask(IMAGES, **ASKED).tokens, Questioner(again, max_new_tokens=12).ask(IMAGES, **ASKED).tokens
    )
    with pytest.raises(ValueError, match=r"^\[add_lora\] model: expected one without adapters"):
        add_lora(again)


@pytest.mark.parametrize("name", ["/nowhere/base", "vlmprobe:world/nobody", None, ""])
def test_a_base_that_is_not_there_says_how_to_name_it(folder, name):
    trained(folder)
    changed(folder, "base.json", name=name)
    with pytest.raises(ValueError, match=r"name the model that the adapters were trained beside with base="):
        VisionLanguageModel.load(folder)


def test_adapters_are_no_base_of_adapters(folder):
    trained(folder)
    changed(folder, "base.json", name=str(folder))
    with pytest.raises(ValueError, match=r"base: expected whole weights, got adapters"):
        VisionLanguageModel.load(folder)


@pytest.mark.parametrize(
    "damage, said",
    [
        (lambda folder: (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin"), "as safetensors"),
        (lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"\x80\x04N."), "as safetensors"),
        (lambda folder: (folder / "adapter_config.json").write_text("[1]"), "expected an object, got list"),
        (lambda folder: (folder / "base.json").write_text("{"), "cannot be read"),
        (lambda folder: changed(folder, "adapter_config.json", peft_type="IA3"), "peft_type: expected LORA, got 'IA3'"),
        (lambda folder: changed(folder, "adapter_config.json", bias="all"), "bias: expected none, got 'all'"),
    ],
)
def test_a_damaged_folder_is_named_and_nothing_is_unpickled(folder, damage, said):
    trained(folder)
    damage(folder)
    with pytest.raises(ValueError, match=said) as error:
        VisionLanguageModel.load(folder, base=tiny.load("questioner"))
    assert str(folder) in str(error.value)


def test_the_packages_weights_have_names_of_their_own():
    assert shipped.shipped() == sorted(tiny.MODELS)
    assert [shipped.name_of(shipped.folder(f"vlmprobe:world/{name}")) for name in tiny.MODELS] == [
        f"vlmprobe:world/{name}" for name in tiny.MODELS
    ]
    assert shipped.folder("Qwen/Qwen2.5-VL-3B-Instruct") == shipped.name_of("Qwen/Qwen2.5-VL-3B-Instruct")
    with pytest.raises(ValueError, match=r"^\[weights\] name: expected one of answerer, .*, got 'none'"):
        VisionLanguageModel.load("vlmprobe:world/none")


def test_whole_weights_take_no_base():
    with pytest.raises(ValueError, match=r"base: expected none beside whole weights"):
        VisionLanguageModel.load("vlmprobe:world/questioner", base="vlmprobe:world/answerer")
