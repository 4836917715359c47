"""Adapters that are merged say what they said beside their weights, and open without PEFT."""

from __future__ import annotations

import pytest
import torch

from support.tiny_models import other, qwen3
from vlmprobe import cli
from vlmprobe.vlm.lora import add_lora
from vlmprobe.vlm.merge import merge
from vlmprobe.vlm.model import VisionLanguageModel
from vlmprobe.world.source import WorldImages

PICTURES = [WorldImages(2, seed=4)[i] for i in range(2)]


def adapted(make, folder):
    """The model with adapters that do something, saved with its base into the folder."""
    make().save(folder / "base")
    model = add_lora(VisionLanguageModel.load(folder / "base"), rank=4)
    torch.manual_seed(1)
    for name, weight in model.model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(weight, std=0.3)
    return model


@pytest.mark.parametrize("make", [qwen3, lambda: other("SmolVLM")], ids=["qwen3", "SmolVLM"])
def test_what_is_merged_says_the_same(tmp_path, make):
    model = adapted(make, tmp_path)
    ids = torch.arange(6)[None]
    with torch.no_grad():
        expected = model.model(input_ids=ids).logits
        with model.without_adapters():
            assert not torch.allclose(model.model(input_ids=ids).logits, expected, atol=1e-2), "they do something"
        found = merge(model).model(input_ids=ids).logits
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert not model.adapted and not [name for name, _ in model.model.named_parameters() if "lora" in name]
    with pytest.raises(ValueError, match=r"\[merge\] model: expected one with adapters, got one that has none"):
        merge(model)


def test_the_command_writes_a_model_that_transformers_opens(tmp_path, capsys):
    from transformers import AutoModelForImageTextToText

    model = adapted(qwen3, tmp_path)
    model.model.save_pretrained(tmp_path / "adapters")
    words = ["merge", str(tmp_path / "adapters"), str(tmp_path / "whole"), "--base", str(tmp_path / "base")]
    assert cli.main(words) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "whole")
    ids = torch.arange(6)[None]
    with torch.no_grad():
        expected = merge(model).model(input_ids=ids).logits
        found = AutoModelForImageTextToText.from_pretrained(tmp_path / "whole")(input_ids=ids).logits
    torch.testing.assert_close(found, expected)
    assert cli.main(words) == 2
    assert "expected no such folder, got one" in capsys.readouterr().err


def test_a_folder_is_known_by_its_weights(tmp_path):
    model = qwen3()
    model.save(tmp_path / "model")
    first = VisionLanguageModel.load(tmp_path / "model").identity
    (tmp_path / "model").rename(tmp_path / "moved")
    assert VisionLanguageModel.load(tmp_path / "moved").identity.split("@")[1] == first.split("@")[1]
    with torch.no_grad():
        next(model.model.parameters()).add_(1)
    model.save(tmp_path / "model")
    assert VisionLanguageModel.load(tmp_path / "model").identity != first
    assert first.startswith("model@")
