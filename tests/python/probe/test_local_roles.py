"""Questioner, answerer and verifier in this process: loaded once, told apart by adapters, and a page in the end."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch
import yaml

from support.photos import photos
from support.taught_roles import taught_roles, written
from support.tiny_models import other
from vlmprobe import cli
from vlmprobe.data.source import FolderImages
from vlmprobe.ledger import Ledger
from vlmprobe.loop.learn import adamw, learn
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.models.model import Message, Request, Sampling
from vlmprobe.models.prompt_files import PromptFiles
from vlmprobe.policy.questioner import Questioner
from vlmprobe.probe import local
from vlmprobe.probe.check import check
from vlmprobe.probe.config import Probe
from vlmprobe.probe.local import LocalModels, sharing
from vlmprobe.probe.reading import parse
from vlmprobe.vlm.lora import add_lora

CONTENT = {
    "images": "photos",
    "questioner": {"model": "model", "max_new_tokens": 96, "temperature": 0.7, "lora": {"rank": 2}},
    "answerer": {"model": "model", "max_tokens": 8},
    "verifier": {"model": "model", "max_tokens": 96},
    "method": "rl",
    "k": 2,
    "group_size": 2,
    "images_per_step": 2,
    "prompts": "prompts",
    "allow_same_model": True,
    "budget": {"calls": None, "steps": 3},
    "training": {"learning_rate": 1e-3, "schedule": "cosine", "warmup_steps": 1, "epochs": 2, "micro_groups": 1,
                 "gradient_checkpointing": True},
}  # fmt: skip


def probe_of(**changes) -> Probe:
    content = {**CONTENT, **{name: value for name, value in changes.items() if not isinstance(value, dict)}}
    merged = {name: {**CONTENT.get(name, {}), **value} for name, value in changes.items() if isinstance(value, dict)}
    return parse({**content, **merged})


@pytest.fixture
def loads(monkeypatch) -> list[local.Weights]:
    """What is loaded, in order."""
    found, load = [], local.Weights.load
    monkeypatch.setattr(local.Weights, "load", lambda self: found.append(self) or load(self))
    return found


@pytest.fixture
def folder(tmp_path):
    """With a model of random weights."""
    photos(tmp_path / "photos", 3)
    other("SmolVLM").save(tmp_path / "model")
    return tmp_path


def test_one_model_asks_answers_and_judges_and_the_page_shows_what_it_got_wrong(tmp_path, capsys, loads):
    pictures = FolderImages(photos(tmp_path / "photos", 3))
    prompts = PromptFiles.load(written(tmp_path / "prompts"))
    taught_roles(tmp_path / "model", prompts, [pictures[i] for i in range(3)], epochs=22)
    (tmp_path / "probe.yaml").write_text(yaml.safe_dump(CONTENT))
    assert cli.main(["run", str(tmp_path), "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    with Ledger(tmp_path / "ledger.sqlite", read_only=True) as ledger:
        failures, used = list(ledger.failures()), {name: ledger.spent("probe", name) for name in local.ROLES}
        steps = ledger.recorded_steps("probe")
    assert len(loads) == 1 and len(steps) == 3
    assert failures and all("hats" in row.question or "red" in row.question for row in failures)
    assert failures[0].question in page and failures[0].answer in page
    for name in ("answerer", "verifier"):
        assert used[name].calls > 0 and used[name].prompt_tokens > used[name].completion_tokens > 0
    assert cli.main(["run", str(tmp_path), "--quiet", "--set=budget.steps=4"]) == 2
    assert "total_steps" in capsys.readouterr().err, "another budget is another schedule"


@pytest.mark.parametrize("vision", [False, True])
def test_training_adapters_changes_nothing_that_the_other_roles_say(folder, loads, vision):
    probe = probe_of(questioner={"lora": {"rank": 2, "vision": vision}})
    here, pictures = LocalModels(probe, folder), FolderImages(folder / "photos")
    shown = EncodedImages()(pictures[0])
    turn = Message(role="user", text="how many", images=[shown])
    asked = [Request(messages=[turn], sampling=Sampling(temperature=t, max_tokens=12)) for t in (0, 1.0)]
    answerer, verifier = here.by_message("answerer"), here.by_message("verifier")
    before, identity = answerer.reply(asked), answerer.identity
    questioner = Questioner(here.asking(), max_new_tokens=6, packing="plain")
    rollouts = questioner.ask([pictures[0]], k=2, group_size=2, seed=0, step=0)
    round = SimpleNamespace(expect=lambda *names: None, asked=rollouts, advantages=torch.tensor([-1.0, 1.0]))
    optimizer = adamw(questioner, 0.5)
    for _ in range(2):
        assert learn(round, questioner, optimizer).changed > 0.2
    assert [each.text for each in answerer.reply(asked)] == [each.text for each in before]
    assert [each.text for each in verifier.reply(asked)] == [each.text for each in before]
    assert answerer.identity == verifier.identity == identity
    answerer._adapters = True
    assert answerer.reply(asked)[0].text != before[0].text, "with the questioner's adapters on"
    assert len(loads) == 1


def test_weights_that_are_trained_are_nobody_elses(folder, loads):
    here = LocalModels(probe_of(questioner={"lora": None}), folder)
    answerer, verifier, model = here.by_message("answerer"), here.by_message("verifier"), here.asking()
    assert len(loads) == 2 and answerer._model is verifier._model is not model
    name, weight = next(iter(model.weights().items()))
    weight.data.add_(1.0)
    assert not torch.equal(weight, answerer._model.weights()[name])
    here = LocalModels(probe_of(questioner={"lora": None}, method="zero-shot"), folder)
    assert here.by_message("answerer")._model is here.asking() and len(loads) == 3


@pytest.mark.parametrize("change", [{"dtype": "bfloat16"}, {"attention": "eager"}, {"revision": "a"}])
def test_roles_that_load_in_another_way_do_not_share(folder, change):
    assert sharing(probe_of(), folder) == [["questioner", "answerer", "verifier"]]
    assert sharing(probe_of(answerer=change), folder) == [["questioner", "verifier"]]


def test_adapters_of_an_earlier_run_are_a_roles_own_and_are_trained_further(folder, loads):
    model = other("SmolVLM")
    add_lora(model, rank=2)
    for name, weight in model.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, generator=torch.Generator().manual_seed(len(name)))
    model.save(folder / "adapters")
    named = {"adapters": "adapters", "lora": None}
    here = LocalModels(probe_of(questioner=named, verifier={"adapters": "adapters"}), folder)
    answerer, verifier, asking = here.by_message("answerer"), here.by_message("verifier"), here.asking()
    assert asking is answerer._model is not verifier._model and len(loads) == 2
    assert "+lora@" in asking.identity and "+lora@" in verifier.identity and "+lora@" not in answerer.identity
    learned = asking.weights(trained=True)
    expected = {name: each for name, each in model.model.named_parameters() if ".lora_" in name}
    assert learned.keys() == expected.keys()
    assert all(torch.equal(each, expected[name]) for name, each in learned.items())
    request = Request(messages=[Message(role="user", text="how many")], sampling=Sampling(max_tokens=12))
    assert verifier.reply([request])[0].text != answerer.reply([request])[0].text


def said(probe: Probe, folder, part: str):
    return next(found for found in check(probe, folder) if found.part == part)


def test_check_says_what_each_role_loads_and_what_is_shared(folder):
    probe = probe_of(questioner={"lora": {"rank": 4, "vision": True}}, verifier={"dtype": "bfloat16"})
    assert said(probe, folder, "questioner").said == (
        "a smolvlm, by its own forward and generate; float32 on cpu; new adapters of rank 4 beside the language part "
        "and the vision tower; loaded once for the questioner and the answerer"
    )
    assert said(probe, folder, "verifier").said == "a smolvlm, by its own forward and generate; bfloat16 on cpu"
    add_lora(model := other("SmolVLM"), rank=2).save(folder / "adapters")
    assert model.adapted
    found = said(probe_of(answerer={"adapters": "adapters"}), folder, "answerer")
    assert found.works and found.said.endswith("; adapters adapters")
    wrong = said(probe_of(answerer={"adapters": "photos"}), folder, "answerer")
    assert not wrong.works and "adapters: expected a folder with adapter_config.json" in wrong.said


def test_check_names_the_package_that_quantisation_needs(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    found = said(probe_of(verifier={"quantization": "4bit"}), folder, "verifier")
    assert not found.works and "pip install 'vlmprobe[large]'" in found.said
