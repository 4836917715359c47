"""The rule that sets the penalty of `vlmprobe reproduce`, and the rewards with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vlmprobe import reward
from vlmprobe.studies import calibrate
from vlmprobe.studies.plan import LEFT_OUT, SMALL

RECORD = Path(__file__).parents[3] / "docs/results/reproduce/penalty.json"


def asked(monkeypatch, shares):
    """Has each penalty come out with a share of valid questions; those that were run, in order."""
    ran = []

    def valid_share(arm, scale, folder):
        ran.append(arm.method if arm.method == "zero-shot" else scale.lambda_penalty)
        return {"value": shares.get(ran[-1], 0.5)}

    monkeypatch.setattr(calibrate, "valid_share", valid_share)
    return ran


def test_it_takes_the_smallest_penalty_with_which_no_fewer_questions_are_valid(monkeypatch, tmp_path):
    ran = asked(monkeypatch, {"zero-shot": 0.8, 0.05: 0.79, 0.1: 0.7, 0.2: 0.8, 0.4: 0.9})
    *_, (name, qvr) = calibrate.tried(SMALL, tmp_path)
    assert (name, qvr["value"]) == ("0.2", 0.8) and ran == ["zero-shot", 0.05, 0.1, 0.2]


def test_none_that_does_is_an_error(monkeypatch, tmp_path):
    ran = asked(monkeypatch, {"zero-shot": 0.8})
    with pytest.raises(RuntimeError, match=r"^\[calibrate\] penalty: expected one of"):
        list(calibrate.tried(SMALL, tmp_path))
    assert ran == ["zero-shot", *calibrate.GRID]


def test_the_scale_has_what_the_record_says():
    found = json.loads(RECORD.read_text())
    assert found["lambda_penalty"] == SMALL.lambda_penalty in calibrate.GRID
    assert found["qvr"]["0.05"]["value"] >= found["qvr"]["zero-shot"]["value"]


def test_every_preset_of_the_paper_has_the_scales_penalty_and_is_otherwise_itself():
    assert LEFT_OUT.keys() == set(reward.PRESETS)
    for name in reward.PRESETS:
        assert repr(replace(SMALL, lambda_penalty=1.0).formula(name)) == repr(reward.parse(name))
    assert repr(SMALL.formula("paper")) == "0.5 * (semantic + lexical) * valid * wrong - 0.05 * invalid"
    assert repr(SMALL.formula("valid * wrong")) == "valid * wrong"
