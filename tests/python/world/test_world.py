"""The embedded world in Python: rendering against programs, verifiers, answerers, faults, discovery."""

import math
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image as PILImage

from support import world_pixels
from support.world_questions import faults_of, invalid_questions, plausible, valid_questions
from vlmprobe._native import core
from vlmprobe.data.image import Image
from vlmprobe.ledger import RecordedQuestions
from vlmprobe.ledger.records import AnswerRecord, QuestionRecord, VerdictRecord
from vlmprobe.models.replies import Failure, Reply
from vlmprobe.world.answerers import ExecutingAnswerer, FaultyAnswerer, load_faults
from vlmprobe.world.discovery import discovery
from vlmprobe.world.render import render
from vlmprobe.world.source import WorldImages, scene_of
from vlmprobe.world.truth import annotator

world = core.world


def test_rendering_is_the_same_byte_for_byte():
    pool = [WorldImages(40, seed=2)[i] for i in range(40)]
    again = WorldImages(40, seed=2)
    assert all(
        render(image.meta).tobytes() == image.pixels.tobytes() == again[image.id].pixels.tobytes() for image in pool
    )
    assert len({image.sha256 for image in pool}) == 40
    program = "from vlmprobe.world.source import WorldImages as W; print([W(40, seed=2)[i].sha256 for i in range(40)])"
    other = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert other.stdout.strip() == str([image.sha256 for image in pool])


def test_pictures_are_rgb_and_clean_ones_stand_on_plain_ground():
    clean, cluttered = WorldImages(1, seed=2, clutter=0)[0].pixels, WorldImages(1, seed=2, clutter=1)[0].pixels
    assert clean.mode == cluttered.mode == "RGB" and clean.size == cluttered.size == (64, 64)
    corner = np.asarray(clean)[:2].reshape(-1, 3)
    assert (corner == corner[0]).all() and np.asarray(cluttered)[:2].std() > 3


def test_the_pixels_give_the_answers_of_the_programs():
    """Measured by `python tests/python/support/world_pixels.py` on 2000 clean pictures: 99.95 to 100 % in each family,
    29617 of 29625 in all; the rest is one picture, where two squares touch at their corners. Here 300
    pictures: one may fail."""
    clean = [WorldImages(300, seed=8, clutter=0)[i] for i in range(300)]
    score = world_pixels.agreement(clean, world.families, world_pixels.ask)
    for family, (right, n) in score.items():
        assert n >= 250 and right >= n - 1, (family, right, n)
    alike = sum(len(world_pixels.read(image.pixels)) == len(image.meta.objects) for image in clean)
    assert alike >= 299


def test_what_is_read_off_the_pixels_is_the_scene():
    """Every attribute, and places within 2.2 pixels (a triangle's centre of mass lies 0.2 radii below its centre)."""
    compared = 0
    for image in (WorldImages(150, seed=9, clutter=0)[i] for i in range(150)):
        seen = world_pixels.read(image.pixels)
        if len(seen) != len(image.meta.objects):
            continue
        for wanted in image.meta.objects:
            found = min(seen, key=lambda one: math.dist((one.x, one.y), (wanted.x, wanted.y)))
            assert math.dist((found.x, found.y), (wanted.x, wanted.y)) < 2.2
            for name in ("color", "shape", "size", "texture"):
                assert getattr(found, name) == getattr(wanted, name), (image, wanted.x, wanted.y, name)
            compared += 1
    assert compared > 500


# image source


def test_pools_cut_from_one_seed_and_pools_of_other_seeds():
    whole, tail = WorldImages(6, seed=4), WorldImages(2, seed=4, first=4)
    assert [tail[i].sha256 for i in range(2)] == [whole[i].sha256 for i in (4, 5)]
    assert tail[0].id == 0 and tail[0].key == "scene-4-4" and tail[0] is tail[0]
    assert scene_of(tail[0]).id == world.sample_scene(4, 4).id != WorldImages(1, seed=5)[0].meta.id
    assert repr(tail) == "WorldImages(2 pictures, seed=4, first=4)" and len(tail) == 2
    assert {WorldImages(20, seed=1, clutter=1)[i].meta.clutter for i in range(20)} == {True}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "[WorldImages] count: expected at least 1, got 0"),
        ({"count": 3, "seed": -1}, "[WorldImages] seed: expected 0 to 2**64 - 1, got -1"),
        ({"count": 3, "seed": 2**64}, "[WorldImages] seed: expected 0 to 2**64 - 1, got 18446744073709551616"),
        ({"count": 3, "first": -1}, "[WorldImages] first: expected 0 to 2**32 - count = 4294967293, got -1"),
        (
            {"count": 3, "first": 2**32 - 2},
            "[WorldImages] first: expected 0 to 2**32 - count = 4294967293, got 4294967294",
        ),
        ({"count": 3, "clutter": 1.5}, "[world::sample_scene] clutter: expected a share in [0, 1], got 1.5"),
        ({"count": 3, "clutter": math.nan}, "[world::sample_scene] clutter: expected a share in [0, 1], got nan"),
    ],
)
def test_wrong_pools_are_named(arguments, message):
    with pytest.raises(ValueError) as error:
        WorldImages(**arguments)
    assert str(error.value) == message


def test_indices_outside_and_pictures_from_elsewhere():
    for index in (2, -1):
        with pytest.raises(IndexError, match=rf"\[WorldImages\] index must be in \[0, 2\), got {index}"):
            WorldImages(2)[index]
    with pytest.raises(TypeError):
        WorldImages(2.5)
    with pytest.raises(ValueError, match=r"\[scene_of\] image: expected a picture of the embedded world, got Image\("):
        scene_of(Image(0, "photo", PILImage.new("RGB", (4, 4))))


# verifiers


def test_the_executing_answerer_refuses_what_has_no_answer():
    images, questions = invalid_questions(40)
    assert ExecutingAnswerer().answer(images, questions) == [Reply(failure=Failure.REFUSAL)] * 40


def test_a_faulty_answerer_remembers_what_each_question_met():
    images, questions = valid_questions(600)
    rules = [
        {"id": "counts", "when": {"family": "count"}, "effect": "off_by_one"},
        {"id": "never", "when": {"family": ["count", "exist"]}, "effect": "other", "rate": 0},
        {"id": "exists", "when": {"family": "exist"}, "effect": "swap", "rate": 0.5},
    ]
    faulty = FaultyAnswerer(ExecutingAnswerer(), faults_of(*rules))
    assert all(faulty.exposure(*asked).triggered is None for asked in zip(images, questions, strict=True))
    right = ExecutingAnswerer().answer(images, questions)
    met = set()
    for image, question, truth, reply in zip(images, questions, right, faulty.answer(images, questions), strict=True):
        family = world.judge(image.meta, question).program.family
        exposure = faulty.exposure(image, question)
        assert exposure.reached == {"count": ("counts", "never"), "exist": ("never", "exists")}.get(family, ())
        assert (exposure.triggered is not None) == (reply.text != truth.text)
        if family == "count":
            assert exposure.triggered == "counts" and abs(int(reply.text) - int(truth.text)) == 1
        met.add((family, exposure.triggered))
        known = annotator(faulty)(image, question, reply)
        unanswered = annotator(faulty)(image, question, None)
        assert unanswered["reached"] == known["reached"] and unanswered["triggered"] is None
        assert known["reached"] == list(exposure.reached) and known["triggered"] == exposure.triggered
        assert known["family"] == family and known["truth"] == truth.text
    assert {("exist", None), ("exist", "exists")} <= met
    assert faulty.answer(images, questions) == FaultyAnswerer(ExecutingAnswerer(), faults_of(*rules)).answer(
        images, questions
    )


def test_a_faulty_answerer_leaves_failures_and_invalid_questions_alone():
    class Mute:
        identity = "mute"

        def answer(self, images, questions):
            return [Reply(failure=Failure.TIMEOUT) for _ in questions]

    everything = faults_of({"id": "all", "when": {"depth": {"min": 1}}, "effect": "other"})
    images, questions = valid_questions(20)
    assert FaultyAnswerer(Mute(), everything).answer(images, questions) == Mute().answer(images, questions)
    refused = FaultyAnswerer(ExecutingAnswerer(), everything).answer(*invalid_questions(20))
    assert all(reply.failure is Failure.REFUSAL for reply in refused)
    assert annotator(ExecutingAnswerer())(images[0], "not a question", None) == {}


def test_the_identity_tells_fault_sets_apart():
    rule = {"id": "a", "when": {"family": "count"}, "effect": "off_by_one"}
    names = {
        FaultyAnswerer(ExecutingAnswerer(), faults).identity
        for faults in (faults_of(rule), faults_of(rule, seed=1), faults_of({**rule, "rate": 0.5}), faults_of())
    }
    assert len(names) == 4 and "world-executing" in names


def test_fault_files_that_cannot_be_read_are_named(tmp_path):
    file = tmp_path / "faults.json"

    def message(content, **options):
        file.write_bytes(content)
        with pytest.raises(ValueError) as error:
            load_faults(file, **options)
        return str(error.value)

    assert message(b"[]", seed=-1) == "[load_faults] seed: expected 0 to 2**64 - 1, got -1"
    assert message(b"\xff") == f"[load_faults] {file}: expected UTF-8, got other bytes at 0"
    assert message(b"{}") == f"[load_faults] {file}: expected a JSON list of faults, got object"
    assert message(b"[").startswith(f"[load_faults] {file}: expected JSON (")
    bad = b'[{"id": "f", "when": {"color": "red"}, "effect": "swap", "rate": 2}]'
    assert message(bad) == f"[load_faults] {file}: fault f: rate: expected a number in [0, 1], got 2"
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(ValueError) as error:
            load_faults(path)
        assert str(error.value).startswith(f"[load_faults] {path}: expected a JSON file with faults, got none (")
    file.write_bytes(b"[]")
    assert load_faults(file, seed=3).faults == [] and load_faults(str(file), seed=3).seed == 3


def test_the_shipped_faults():
    """At least 12, all of them within reach, and an executing answerer fails on 2 to 5 % of uniform valid questions."""
    faults = load_faults()
    assert len(faults.faults) >= 12
    masses = faults.masses(20_000, 1)
    assert min(masses) > 0.0001 and max(masses) < 0.05
    images, questions = valid_questions(6000, seed=6)
    right = ExecutingAnswerer().answer(images, questions)
    given = FaultyAnswerer(ExecutingAnswerer(), faults).answer(images, questions)
    wrong = sum(a != b for a, b in zip(right, given, strict=True)) / 6000
    expected = sum(fault.rate * mass for fault, mass in zip(faults.faults, masses, strict=True))
    assert 0.02 <= expected <= 0.05 and 0.02 <= wrong <= 0.05
    assert plausible(round(wrong * 6000), 6000, expected)


def test_random_faults_from_python():
    faults = world.random_faults(3, count=5, min_mass=0.002, max_mass=0.03)
    assert (
        len(faults.faults) == 5
        and faults.to_json() == world.random_faults(3, count=5, min_mass=0.002, max_mass=0.03).to_json()
    )
    with pytest.raises(ValueError, match=r"\[world::random_faults\] count: expected 1 to 64, got 0"):
        world.random_faults(3, count=0)


# discovery


def row(slot, program, *, correct=None, valid=True, reached=(), triggered=None):
    """A judged question of a family, with what the world knows about it."""
    verdict = VerdictRecord(
        grammatical=True, atomic=True, grounded=valid, objective=True, correct=correct, judge="test"
    )
    known = {"family": program.split("(")[0], "program": program, "reached": list(reached), "triggered": triggered}
    return QuestionRecord(
        sequence=0, slot=slot, status="ok", text=f"question {slot}", verdict=verdict,
        answer=AnswerRecord(answerer="test", text="yes"), annotations=known,
    )  # fmt: skip


def test_discovery_counts_by_hand():
    """Six rows. Valid: 0 to 4, of families count, count, exist, exist, exist. Failures: 0, 1 (count), 3 (exist)."""
    faults = faults_of(
        {"id": "a", "when": {"family": "count"}, "effect": "off_by_one"},
        {"id": "b", "when": {"family": "exist"}, "effect": "swap"},
        {"id": "c", "when": {"family": "same"}, "effect": "swap"},
    )
    tally = RecordedQuestions()
    for question in (
        row(0, "count(red)", correct=False, reached=["a"], triggered="a"),
        row(1, "count(red)", correct=False, reached=["a"], triggered="a"),  # the same program again
        row(2, "exist(blue)", correct=True, reached=["b"], triggered="b"),  # the verifier missed it
        row(3, "exist(star)", correct=False, reached=["b"]),  # wrong in itself, no fault fired
        row(4, "exist(star)", correct=None, reached=["b", "a"], triggered="b"),  # not judged
        row(5, "same(color)", correct=False, valid=False, reached=["c"], triggered="c"),  # not valid: nowhere counted
    ):
        tally.append(0, question)
    found = discovery(tally, faults, [0.1, 0.2, 0.3])
    assert found["distinct_failures"] == 2  # count(red), exist(star)
    # Entropies: families of the valid 2/5, 3/5; of the failures 2/3, 1/3.
    assert found["effective_families"] == pytest.approx(math.exp(-(0.4 * math.log(0.4) + 0.6 * math.log(0.6))))
    assert found["effective_failure_families"] == pytest.approx(math.exp(math.log(3) - 2 / 3 * math.log(2)))
    assert found["faults"] == {
        "a": {
            "when": {"family": "count"},
            "effect": "off_by_one",
            "mass": 0.1,
            "reached": 3,
            "triggered": 2,
            "detected": 2,
        },
        "b": {"when": {"family": "exist"}, "effect": "swap", "mass": 0.2, "reached": 3, "triggered": 2, "detected": 0},
        "c": {"when": {"family": "same"}, "effect": "swap", "mass": 0.3, "reached": 0, "triggered": 0, "detected": 0},
    }
    assert discovery(tally)["faults"] == {}
    with pytest.raises(ValueError, match=r"\[discovery\] masses: expected 3, one per fault, got 0"):
        discovery(tally, faults)


def test_discovery_of_nothing():
    found = discovery(RecordedQuestions())
    assert found["distinct_failures"] == 0 and found["faults"] == {}
    assert math.isnan(found["effective_families"]) and math.isnan(found["effective_failure_families"])
