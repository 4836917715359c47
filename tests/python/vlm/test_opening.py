"""What is asked for when weights are opened reaches transformers, and what is missing is named."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest
import torch

from support.tiny_models import other, qwen2_5
from vlmprobe.vlm import load as loading
from vlmprobe.vlm.family import family
from vlmprobe.vlm.model import VisionLanguageModel
from vlmprobe.vlm.opening import Opening
from vlmprobe.vlm.plain import PlainModel


@pytest.fixture
def folder(tmp_path):
    qwen2_5().save(tmp_path / "model")
    return tmp_path / "model"


def test_what_transformers_is_given():
    assert Opening().arguments() == {"dtype": torch.float32}
    given = Opening(dtype=torch.bfloat16, revision="main", device="cuda").arguments()
    assert given == {"dtype": torch.bfloat16, "revision": "main"}
    assert Opening(device="auto").arguments()["device_map"] == "auto"
    eight = Opening(device="cuda", quantization="8bit").arguments()
    assert eight["device_map"] == {"": "cuda"} and eight["quantization_config"].load_in_8bit
    four = Opening(device="auto", quantization="4bit", dtype=torch.bfloat16).arguments()
    assert four["device_map"] == "auto" and four["quantization_config"].load_in_4bit
    assert four["quantization_config"].bnb_4bit_quant_type == "nf4"
    assert four["quantization_config"].bnb_4bit_compute_dtype == torch.bfloat16


def test_all_of_it_reaches_the_load_and_the_processor(folder, monkeypatch):
    """The revision of a name on the hub, for model, configuration and processor."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    seen = {}

    def opened(where, **given):
        seen["model"] = given
        return qwen2_5().model

    def processor(where, **given):
        seen["processor"] = given
        return qwen2_5().processor

    monkeypatch.setattr(AutoModelForImageTextToText, "from_pretrained", opened)
    monkeypatch.setattr(AutoProcessor, "from_pretrained", processor)
    VisionLanguageModel.load("owner/name", revision="abc", attention="eager")
    assert seen["model"] == {"dtype": torch.float32, "revision": "abc", "attn_implementation": "eager"}
    assert seen["processor"] == {"revision": "abc"}


def test_an_attention_that_is_asked_for_is_taken(folder):
    model = VisionLanguageModel.load(folder, attention="eager")
    assert model.model.config._attn_implementation == "eager" and "got 'eager'" in model.unshared
    assert not VisionLanguageModel.load(folder).unshared


def test_a_device_that_accelerate_chooses(folder):
    model = VisionLanguageModel.load(folder, device="auto")
    assert not model.unshared
    assert {weight.device.type for weight in model.model.parameters()} == {model.device.type}


def test_weights_on_several_devices_go_by_the_models_own_forward(folder, monkeypatch):
    spread = SimpleNamespace(hf_device_map={"model.visual": 0, "model.language_model": 1})
    assert loading._spread(spread) and not loading._spread(qwen2_5().model)
    monkeypatch.setattr(loading, "_spread", lambda model: True)
    assert type(VisionLanguageModel.load(folder)) is PlainModel


def test_weights_that_do_not_fit_and_were_put_aside_are_named(folder, monkeypatch, tmp_path):
    places = {"model.visual": "cpu", "model.language_model": "disk", "lm_head": "cpu"}
    given = Opening().arguments() | {"device_map": places, "offload_folder": tmp_path / "aside"}
    monkeypatch.setattr(Opening, "arguments", lambda self: given)
    with pytest.raises(ValueError, match=r"^\[VisionLanguageModel.load\] device: expected room for all weights"):
        VisionLanguageModel.load(folder, device="auto")


@pytest.mark.parametrize("quantization", ["8bit", "4bit"])
def test_a_missing_package_names_what_to_install(folder, quantization, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ModuleNotFoundError) as error:
        VisionLanguageModel.load(folder, quantization=quantization)
    assert "pip install 'vlmprobe[large]'" in str(error.value)


def test_a_missing_accelerate_names_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'vlmprobe\[large\]'"):
        VisionLanguageModel.load(folder, device="auto")


def test_an_unknown_quantisation_is_named():
    with pytest.raises(ValueError, match=r"^\[load\] quantization: expected 8bit, 4bit or none, got '3bit'$"):
        VisionLanguageModel.load("x", quantization="3bit")


@pytest.mark.parametrize("make, words", [(qwen2_5, "shares prompts"), (lambda: other("SmolVLM"), "own forward")])
def test_the_family_is_known_before_any_weight_is_read(tmp_path, make, words):
    make().save(tmp_path)
    for file in tmp_path.glob("*.safetensors"):
        file.write_bytes(b"no weights")
    assert words in family(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    with pytest.raises(ValueError, match=r"expected a model of pictures and text, got a 'bert'"):
        family(tmp_path)
