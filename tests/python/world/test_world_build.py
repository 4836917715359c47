"""The lessons and the training that make the world's models."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from vlmprobe import world
from vlmprobe.world import build, lessons, teaching, tiny


def test_a_packed_lesson_sees_what_a_prompt_of_its_own_would():
    images = world.WorldImages(2, seed=5)
    scenes = [image.meta for image in images]
    own = [[lessons.question_lesson(scene, 5, i, part) for part in range(3)] for i, scene in enumerate(scenes)]
    batch = lessons.collate(tiny.processor(), scenes, own)
    model = tiny.load("answerer")
    asked = [world.sample_question(scene, 5, i, part) for i, scene in enumerate(scenes) for part in range(3)]
    with torch.no_grad():
        packed, labels = teaching.logits_at_labels(model.model, batch)
        prompts = model.prompts([images[i // 3] for i in range(6)], [sample.question for sample in asked])
        plain = model.model.lm_head(model.prefill(prompts)[0])
    first = torch.arange(0, 12, 2)  # each reply is one word and the end of text
    assert torch.allclose(packed[first], plain, atol=1e-3)  # float32, other shapes and another mask
    vocabulary = tiny.vocabulary()
    assert [vocabulary[i] for i in labels[first]] == [sample.answer for sample in asked]


def test_a_lesson_does_not_see_its_neighbours():
    scene = world.sample_scene(5, 0)
    lesson, other = (lessons.question_lesson(scene, 5, 0, part) for part in (0, 1))
    model, processor = tiny.load("answerer").model, tiny.processor()
    with torch.no_grad():
        alone, _ = teaching.logits_at_labels(model, lessons.collate(processor, [scene], [[lesson]]))
        beside, _ = teaching.logits_at_labels(model, lessons.collate(processor, [scene], [[other, lesson]]))
    assert torch.allclose(alone, beside[-2:], atol=1e-3)


def test_an_interrupted_build_continues_where_it_stopped(tmp_path):
    processor = tiny.processor()

    def make(step: int):
        return build.answering(processor, step, 2, 3)

    def weights(*stops: int) -> dict[str, torch.Tensor]:
        work = tmp_path / "-".join(map(str, stops))
        work.mkdir()
        for stop in stops:  # each a process of its own, as far as the model knows
            model = build.new_model("small", seed=1)

            def until(step: int, stop: int = stop):
                if step == stop:
                    raise KeyboardInterrupt
                return make(step)

            report = teaching.Progress(work / "log")
            try:
                teaching.teach(model, until, 4, 1e-3, work, report, "asking", every=1)
            except KeyboardInterrupt:
                continue
        return model.state_dict()

    whole, parts = weights(9), weights(2, 9)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_novice_leaves_at_the_first_check_at_which_it_fails_as_seldom_as_it_may(tmp_path, monkeypatch):
    failing, ended = iter([0.5, 0.33, 0.32, 0.1]), []

    def taught(model, make, steps, peak, work, report, stage, *, beside):
        ended.append(next((step for step in range(steps) if beside(step)), None))

    def accuracy(*of, lesson, seed, **more):
        assert lesson is lessons.habitual_lesson and seed == build.CALIBRATION_SEED
        return {"color": (round(1000 * (1 - next(failing))), 1000)}

    for name, instead in {"accuracy": accuracy, "teach": taught}.items():
        monkeypatch.setattr(build, name, instead)
    for name in ("teach_vision", "graduate"):
        monkeypatch.setattr(build, name, lambda *told: None)
    build.build_novice("small", tmp_path, tmp_path, 400, 0, teaching.Progress(tmp_path / "log"))
    assert ended == [150] and build.NOVICES["small"] == 0.32


def test_teaching_ends_where_it_is_told_to(tmp_path):
    model, seen = build.new_model("small", seed=1), []

    def beside(step: int) -> bool:
        seen.append(step)
        return step == 1

    make = partial(build.answering, tiny.processor())
    teaching.teach(
        model, lambda step: make(step, 1, 1), 9, 1e-3, tmp_path, teaching.Progress(None), "asking", beside=beside
    )
    assert seen == [0, 1]


@pytest.mark.parametrize("name, least", [("answerer", 0.85)])
def test_the_shipped_answerer_is_as_good_as_the_documents_say(name, least):
    right = build.overall(build.accuracy(tiny.load(name).model, tiny.processor(), pictures=48, questions=12))
    assert right > least  # 92.9 % over 12,288; 576 questions: standard error 1.1 points


def test_the_shipped_models_are_small():
    files = list(tiny.WEIGHTS.rglob("*"))
    assert sum(file.stat().st_size for file in files if file.is_file()) < 30e6
    assert {file.parent.name for file in files if file.name == "model.safetensors"} == tiny.MODELS.keys()


@pytest.mark.parametrize("name", tiny.MODELS)
def test_a_shipped_model_is_of_the_size_that_it_is_said_to_be(name):
    made, shipped = tiny.config(tiny.MODELS[name]), tiny.load(name).model.config
    assert made.model_type == shipped.model_type
    for part in ("text_config", "vision_config"):
        ours, theirs = getattr(made, part).to_dict(), getattr(shipped, part).to_dict()
        for field in ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "depth"):
            assert ours.get(field) == theirs.get(field)
