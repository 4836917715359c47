"""The forecast of a run, by hand."""

from __future__ import annotations

import pytest

from vlmprobe.models.chat import Prices
from vlmprobe.models.forecast import RoleCost, forecast

COST = RoleCost(prompt_tokens=100, completion_tokens=10, prices=Prices(prompt=1.0, completion=10.0))
SHAPE = {"steps": 2, "images_per_step": 5, "group_size": 4, "k": 2}


def test_every_slot_is_judged_and_claimed_failures_are_confirmed():
    found = forecast(
        dict.fromkeys(("validity", "answer", "correctness"), COST), **SHAPE, valid=0.5, wrong=0.25, confirm=2
    )
    assert {name: role.calls for name, role in found.roles.items()} == {"validity": 80, "answer": 40, "correctness": 60}
    assert found.calls == 180
    # a call: 100 x 1e-6 + 10 x 10e-6
    assert found.cost == pytest.approx(180 * 0.0002)
    table = str(found).splitlines()
    assert table[0].split() == ["role", "calls", "prompt", "tokens", "completion", "tokens", "cost"]
    assert table[-1].split() == ["all", "180", "18,000", "1,800", "0.04"]


def test_every_vote_is_a_call():
    found = forecast(dict.fromkeys(("validity", "answer", "correctness"), COST), **SHAPE, valid=0.5, votes=3)
    assert {name: role.calls for name, role in found.roles.items()} == {
        "validity": 240,
        "answer": 40,
        "correctness": 120,
    }
    with pytest.raises(ValueError, match=r"\[forecast\] votes: expected at least 1, got 0"):
        forecast({"answer": COST}, **SHAPE, votes=0)


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match=r"\[forecast\] roles: expected validity, answer, correctness, got 'judge'"):
        forecast({"judge": COST}, **SHAPE)
    with pytest.raises(ValueError, match=r"\[forecast\] valid: expected a share in \[0, 1\], got 80"):
        forecast({"answer": COST}, **SHAPE, valid=80)
    with pytest.raises(ValueError, match=r"\[forecast\] steps: expected"):
        forecast({"answer": COST}, **{**SHAPE, "steps": 0})
