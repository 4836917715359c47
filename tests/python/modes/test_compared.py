"""Two answerers on the same questions, by verdicts that are given."""

from __future__ import annotations

import math

import pytest

from support.frozen import RUN, ledger_of
from vlmprobe.modes.compared import compare
from vlmprobe.modes.concepts import Concept
from vlmprobe.modes.exact import mcnemar
from vlmprobe.modes.halves import half_of
from vlmprobe.modes.mode import Mode, Rated, id_of
from vlmprobe.modes.rating import rate_of
from vlmprobe.modes.rules import Rule

PICTURES = [f"p{i}" for i in range(8)]


def compared(tmp_path, first, second, modes=()):
    with ledger_of(tmp_path / "a.sqlite", first) as mine, ledger_of(tmp_path / "b.sqlite", second) as theirs:
        return compare(mine, theirs, ([RUN], [RUN]), modes)


def mode(word, found_on):
    rule, none = Rule.of([Concept("word", word)]), rate_of([])
    rated = Rated(n=0, failures=0, rate=none, base=none, p=1.0, q=1.0, valid=1.0)
    return Mode(
        id=id_of(rule), name=word, rule=rule, state="held", found_on=found_on, found=(0, 0), rated=rated, share=none
    )


def test_each_question_is_in_the_cell_of_its_two_verdicts(tmp_path):
    first = {("a", "1"): False, ("a", "2"): False, ("b", "3"): True, ("b", "4"): True, ("c", "5"): False}
    second = {("a", "1"): True, ("a", "2"): False, ("b", "3"): False, ("b", "4"): True, ("c", "5"): None}
    found = compared(tmp_path, first, {**second, ("d", "6"): False})
    whole = found.whole
    assert (whole.fixed, whole.regressed, whole.both_wrong, whole.both_right, whole.unscored) == (1, 1, 1, 1, 1)
    assert whole.n == 4 and found.left_out == 0 and whole.difference.value == 0.0
    assert {kind: [one.text for one in some] for kind, some in found.lists.items()} == {
        "fixed": ["1"], "regressed": ["3"], "both_wrong": ["2"],
    }  # fmt: skip


def test_what_the_second_was_not_asked_is_left_out_and_what_is_unknown_is_neither(tmp_path):
    first = {("a", "1"): False, ("b", "2"): True, ("c", "3"): True}
    found = compared(tmp_path, first, {("a", "1"): True, ("b", "2"): None})
    assert (found.whole.n, found.whole.fixed, found.whole.unscored, found.left_out) == (1, 1, 1, 1)
    assert found.plain()["whole"]["difference"]["n"] == 1


def test_a_name_with_other_pixels_is_another_picture(tmp_path):
    said = {("a", "1"): False, ("b", "2"): True}
    with ledger_of(tmp_path / "a.sqlite", said) as mine, ledger_of(tmp_path / "b.sqlite", said) as theirs:
        theirs._db.execute("UPDATE images SET sha256 = 'others' WHERE key = 'a'")
        found = compare(mine, theirs, ([RUN], [RUN]), [])
    assert (found.whole.n, found.left_out) == (1, 1)


def test_without_a_question_in_common_it_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match=r"\[compare\] RUN_B: expected verdicts on questions of RUN_A .* --answerer"):
        compared(tmp_path, {("a", "1"): False}, {("a", "2"): False})


def test_a_modes_difference_is_of_the_half_that_did_not_find_it(tmp_path):
    """All are fixed on the half that found the mode, none on the other."""
    found_on = half_of("p0")
    first = {(key, "how many green crosses"): False for key in PICTURES}
    second = {(key, text): half_of(key) == found_on for key, text in first}
    found = compared(tmp_path, first, second, [mode("green", found_on), mode("blue", 0)])
    green, blue = (each.counted for each in found.modes)
    other = sum(half_of(key) != found_on for key in PICTURES)
    assert 0 < other < len(PICTURES)
    assert (green.fixed, green.both_wrong) == (len(PICTURES) - other, other)
    assert (green.difference.value, green.difference.n, green.p) == (0.0, (other, other), 1.0)
    assert blue.n == 0 and math.isnan(blue.difference.value)
    assert found.beside.n == 0 and found.whole.difference.value < 0


@pytest.mark.parametrize(("counts", "p"), [((0, 0), 1.0), ((0, 5), 2 / 32), ((1, 5), 14 / 64), ((3, 3), 1.0)])
def test_mcnemars_p_by_hand(counts, p):
    # 1 and 5: 2 (C(6, 0) + C(6, 1)) / 2^6 = 14/64
    assert mcnemar(*counts) == mcnemar(*reversed(counts)) == p
