"""What another judge or reward would have said: by arithmetic on small tallies, and on real ledgers of the world."""

from __future__ import annotations

import json

import pytest

from vlmprobe.ledger import RecordedQuestions
from vlmprobe.ledger.records import AnswerRecord, QuestionRecord, VerdictRecord
from vlmprobe.studies.sensitivity import judge_sensitivity
from vlmprobe.studies.sensitivity_rewards import rewarded

UNJUDGED = object()
ANSWER = AnswerRecord(answerer="answerer@1", text="3")


def question(slot, valid, correct=None, **more):
    verdict = None
    if valid is not UNJUDGED:
        verdict = VerdictRecord(
            grammatical=True, atomic=True, grounded=valid, objective=True, correct=correct, judge="judge@1"
        )
    return QuestionRecord(
        **{"sequence": 0, "slot": slot, "status": "ok", "text": f"question {slot}", "verdict": verdict, **more}
    )


def tally(*rows, images=None, **more):
    """Rows of (valid, correct), each on an image of its own."""
    found = RecordedQuestions()
    for i, row in enumerate(rows):
        found.append(i if images is None else images[i], question(i, *row, **more))
    return found


def wrong(count, of, **more):
    """That many valid questions, so many of them answered wrongly."""
    return tally(*[(True, i >= count) for i in range(of)], **more)


def two(verifier, evaluator):
    return {"verifier": verifier, "evaluator": evaluator}


def only(found):
    [one] = found
    return one


def test_a_changed_order_is_a_flip_of_order():
    found = judge_sensitivity({"A": two(wrong(30, 40), wrong(10, 40)), "B": two(wrong(20, 40), wrong(20, 40))})
    assert found.ranking == {"verifier": ("A", "B"), "evaluator": ("B", "A")}
    pair = only(found.flips)
    assert {judge: each.value for judge, each in pair.differences.items()} == {"verifier": 0.25, "evaluator": -0.25}
    assert pair.flips == "order" and pair.methods == ("A", "B")
    plain = found.plain()
    assert [(row["method"], row["judge"], row["fdr"]["value"]) for row in plain["rates"]] == [
        ("A", "verifier", 0.75),
        ("A", "evaluator", 0.25),
        ("B", "verifier", 0.5),
        ("B", "evaluator", 0.5),
    ]
    assert all(row["qvr"]["value"] == 1 and row["qvr"]["n"] == 40 for row in plain["rates"])


def test_a_difference_that_one_judge_alone_finds_significant_is_a_flip_of_significance():
    found = judge_sensitivity({"A": two(wrong(40, 60), wrong(21, 60)), "B": two(wrong(20, 60), wrong(20, 60))})
    pair = only(found.pairs)
    assert pair.flips == "significance" and pair.significant == {"verifier": True, "evaluator": False}
    assert pair.differences["verifier"].p < 0.05 < pair.differences["evaluator"].p
    assert found.ranking["verifier"] == found.ranking["evaluator"] == ("A", "B")


def test_the_level_decides_what_is_significant():
    tallies = {"A": two(wrong(40, 60), wrong(21, 60)), "B": two(wrong(20, 60), wrong(20, 60))}
    assert judge_sensitivity(tallies, level=1e-9).flips == ()


def test_judges_who_say_the_same_flip_nothing():
    found = judge_sensitivity({name: two(wrong(n, 30), wrong(n, 30)) for name, n in (("A", 20), ("B", 5), ("C", 12))})
    assert found.flips == () and len(found.pairs) == 3
    assert found.ranking["verifier"] == found.ranking["evaluator"] == ("A", "C", "B")
    assert {each.found.share.value for each in found.agreement} == {1.0}


def test_a_tie_under_one_judge_is_no_flip_of_order_and_ranks_by_name():
    found = judge_sensitivity({"B": two(wrong(10, 40), wrong(11, 40)), "A": two(wrong(10, 40), wrong(10, 40))})
    assert found.ranking == {"verifier": ("A", "B"), "evaluator": ("B", "A")}
    assert only(found.pairs).flips is None and only(found.pairs).differences["verifier"].value == 0


def test_any_two_of_several_judges_make_a_flip_and_each_is_held_against_the_first():
    def three(*counts):
        return {judge: wrong(n, 40) for judge, n in zip(("verifier", "second", "third"), counts, strict=True)}

    found = judge_sensitivity({"A": three(10, 11, 30), "B": three(5, 5, 5 + 35)})
    assert only(found.pairs).flips == "order"
    expected = [("verifier", "second"), ("verifier", "second"), ("verifier", "third"), ("verifier", "third")] * 2
    assert [each.judges for each in found.agreement] == expected


UNKNOWNS = two(
    tally((True, False), (True, True), (True, None), (None, None), (True, True), (False, True)),
    tally((True, False), (True, False), (True, True), (True, None), (UNJUDGED,), (False, True)),
)


def with_missing_slot(found):
    found.append(99, question(99, UNJUDGED, status="missing", text=""))
    return found


def test_what_a_judge_did_not_say_enters_nothing():
    found = judge_sensitivity(
        {"A": {judge: with_missing_slot(RecordedQuestions(list(t.rows))) for judge, t in UNKNOWNS.items()}}
    )
    own, other = found.rates
    assert (own.qvr.value, own.qvr.n, own.qvr.n_unscored) == (4 / 6, 6, 1)  # unknown: one; the slot counts as invalid
    assert (own.fdr.value, own.fdr.n, own.fdr.n_unscored) == (1 / 3, 3, 1)
    assert (other.qvr.value, other.qvr.n, other.qvr.n_unscored) == (4 / 6, 6, 1)  # the one that was not judged
    assert (other.fdr.value, other.fdr.n, other.fdr.n_unscored) == (2 / 3, 3, 1)


def test_agreement_is_over_what_both_judged_and_leaves_slots_without_a_question_out():
    found = judge_sensitivity(
        {"A": {judge: with_missing_slot(RecordedQuestions(list(t.rows))) for judge, t in UNKNOWNS.items()}}
    )
    validity, correctness = found.plain()["agreement"]
    assert (validity["what"], validity["share"]["value"], validity["share"]["n"]) == ("validity", 1, 4)
    assert (correctness["what"], correctness["share"]["value"], correctness["share"]["n"]) == ("correctness", 0.5, 2)
    assert correctness["kappa"]["value"] == 0  # one always says wrong: chance is 1/2, too


def test_methods_without_valid_questions_get_none_and_no_rank():
    invalid = tally((False,), (False,), (False,))
    found = judge_sensitivity(
        {
            "none": two(RecordedQuestions(), RecordedQuestions()),
            "A": two(wrong(3, 6), wrong(2, 6)),
            "invalid": two(invalid, invalid),
        }
    )
    plain = found.plain()
    unknown = {"value": None, "low": None, "high": None, "n": 0}
    rates = {row["method"]: row for row in plain["rates"] if row["judge"] == "evaluator"}
    assert rates["none"]["qvr"] == rates["none"]["fdr"] == rates["invalid"]["fdr"] == unknown
    assert rates["invalid"]["qvr"]["value"] == 0 and rates["invalid"]["qvr"]["n"] == 3
    assert plain["ranking"] == {"verifier": ["A"], "evaluator": ["A"]}
    assert all(pair["flips"] is None and pair["significant"] == {} for pair in plain["pairs"])
    none = {"value": None, "low": None, "high": None, "p": None}
    assert {**none, "n": [0, 6]} in [pair["differences"]["verifier"] for pair in plain["pairs"]]
    agreed = [(row["share"], row["kappa"]) for row in plain["agreement"] if row["method"] == "none"]
    assert agreed == [(unknown, unknown)] * 2
    json.dumps(plain, allow_nan=False)


def test_a_method_that_only_one_judge_leaves_without_valid_questions_flips_nothing():
    invalid = tally(*[(False,)] * 40)
    found = judge_sensitivity({"A": two(wrong(38, 40), invalid), "B": two(wrong(2, 40), wrong(2, 40))})
    assert only(found.pairs).flips is None and only(found.pairs).significant == {"verifier": True}
    assert found.ranking == {"verifier": ("A", "B"), "evaluator": ("B",)}


def skilled(*blocks):
    """Blocks of (skill, wrong, right, unscored)."""
    found = RecordedQuestions()
    for skill, *sizes in blocks:
        for correct, size in zip((False, True, None), sizes, strict=True):
            for _ in range(size):
                slot = len(found.rows)
                found.append(slot, question(slot, True, correct, annotations={"skills": [skill]} if skill else {}))
    return found


def test_a_skill_that_is_hard_for_one_judge_alone_is_named():
    own = skilled(("count", 27, 3, 0), ("color", 3, 27, 0), ("size", 15, 15, 0))
    other = skilled(("count", 15, 15, 0), ("color", 15, 15, 0), ("size", 15, 15, 0))
    found = judge_sensitivity({"A": two(own, other)}, above=20)
    flip = only(found.skills)
    assert (flip.skill, flip.hard, found.n_skills) == ("count", {"verifier": True, "evaluator": False}, 3)
    assert (flip.rates["verifier"].value, flip.rates["evaluator"].value) == (0.9, 0.5)
    assert flip.q["verifier"] < 0.05 < flip.q["evaluator"]
    row = only(found.plain()["skills"])
    assert row["method"] == "A" and row["rates"]["verifier"]["n"] == 30


def test_a_skill_with_too_few_scored_questions_under_one_judge_is_not_compared():
    own = skilled(("count", 27, 3, 0), ("color", 3, 27, 0), (None, 5, 5, 0))
    other = skilled(("count", 15, 5, 10), ("color", 15, 15, 0), (None, 5, 5, 0))
    found = judge_sensitivity({"A": two(own, other)}, above=20)
    assert (found.skills, found.n_skills, found.n_skills_left_out) == ((), 1, 1)
    found = judge_sensitivity({"A": two(own, other), "B": two(own, own)}, above=19)
    assert (found.n_skills, found.n_skills_left_out) == (4, 0)


def test_questions_without_labels_compare_no_skill():
    found = judge_sensitivity({"A": two(wrong(30, 40), wrong(10, 40))}, above=0)
    assert (found.skills, found.n_skills, found.n_skills_left_out) == ((), 0, 0)


def test_the_same_seed_gives_the_same_and_another_does_not():
    tallies = {"A": two(wrong(27, 40), wrong(25, 40)), "B": two(wrong(15, 40), wrong(11, 40))}
    first, again, other = (judge_sensitivity(tallies, seed=seed).plain() for seed in (1, 1, 2))
    assert first == again and first["rates"] == other["rates"]
    assert first["pairs"] != other["pairs"] and first["agreement"] != other["agreement"]


def paid(*rewards, images=None):
    return tally_of([question(i, True, True, rewards=given) for i, given in enumerate(rewards)], images)


def tally_of(questions, images):
    return RecordedQuestions([(i if images is None else images[i], each) for i, each in enumerate(questions)])


def priced(*totals, images=None):
    return paid(*[{"total": total} for total in totals], images=images)


def test_means_of_rewards_are_over_scored_questions_and_count_images():
    images = [7, 6, 8, 8, 7, 9]
    stopped = paid({"total": 1.0}, {"total": None}, {"total": float("nan")}, {}, *[{"total": 0.25}] * 2, images=images)
    found = rewarded({"A": {"paper": stopped, "plain": priced(*[0.5] * 6, images=images)}})
    estimate = found.means["A"]["paper"]
    assert (estimate.value, estimate.n, estimate.n_unscored, estimate.clusters) == (0.5, 3, 3, 2)
    assert [(row["reward"], row["value"], row["n"]) for row in found.plain()["means"]] == [
        ("paper", 0.5, 3),
        ("plain", 0.5, 6),
    ]


def test_a_reward_of_a_question_that_nobody_judged_is_unscored():
    rows = [question(0, UNJUDGED, rewards={"total": -1.0}), question(1, True, False, rewards={"total": 1.0})]
    rows.append(question(2, UNJUDGED, status="missing", text="", rewards={"total": -1.0}))
    found = rewarded({"A": {"paper": tally_of(rows, None), "again": tally_of(rows, None)}})
    assert (found.means["A"]["paper"].value, found.means["A"]["paper"].n) == (0.0, 2)


def test_rewards_flip_order_and_significance():
    found = rewarded(
        {
            "A": {"paper": priced(*[0.5, 0.7] * 15), "plain": priced(*[0.2, 0.0] * 15)},
            "B": {"paper": priced(*[0.1, 0.2] * 15), "plain": priced(*[0.4, 0.3] * 15)},
            "C": {"paper": priced(*[0.2, 0.2] * 15), "plain": priced(*[0.3, 0.4] * 15)},
        }
    )
    assert found.ranking == {"paper": ("A", "C", "B"), "plain": ("B", "C", "A")}
    assert [(pair.methods, pair.flips) for pair in found.flips] == [
        (("A", "B"), "order"),
        (("A", "C"), "order"),
        (("B", "C"), "significance"),
    ]
    assert found.pairs[0].differences["paper"].value == pytest.approx(0.6 - 0.15)


def test_means_that_differ_by_rounding_alone_are_ties():
    up, down = priced(0.1, 0.2, 0.3), priced(0.3, 0.2, 0.1)
    found = rewarded({"B": {"paper": up, "plain": down}, "A": {"paper": down, "plain": up}})
    assert found.means["A"]["paper"].value != found.means["B"]["paper"].value
    assert found.flips == () and set(found.ranking.values()) == {("A", "B")}


def test_a_method_without_rewards_gets_none_and_no_rank():
    found = rewarded(
        {
            "A": {"paper": RecordedQuestions(), "plain": RecordedQuestions()},
            "B": {"paper": priced(1.0), "plain": priced(0.0)},
        }
    )
    plain = found.plain()
    assert plain["means"][0] == {"method": "A", "reward": "paper", "value": None, "low": None, "high": None, "n": 0}
    assert plain["means"][2] == {"method": "B", "reward": "paper", "value": 1, "low": None, "high": None, "n": 1}
    assert plain["ranking"] == {"paper": ["B"], "plain": ["B"]} and plain["pairs"][0]["flips"] is None
    judged = judge_sensitivity({"A": two(RecordedQuestions(), RecordedQuestions())})
    assert json.loads(json.dumps(judged.plain(found), allow_nan=False))["rewards"] == plain
    assert judged.plain()["rewards"] == {"names": [], "means": [], "ranking": {}, "pairs": []}


SHORT, OTHER = wrong(1, 3), tally((True, True), (True, True), (True, True), text="another")


@pytest.mark.parametrize(
    "tallies, options, text",
    [
        ({}, {}, r"tallies: expected at least one method, got none$"),
        ({"A": {"verifier": SHORT}}, {}, r"tallies: expected at least 2 judges, got 1$"),
        (
            {"A": two(SHORT, SHORT), "B": {"verifier": SHORT, "third": SHORT}},
            {},
            r"tallies\['B'\]: expected the judges \('verifier', 'evaluator'\), got \('verifier', 'third'\)$",
        ),
        ({"A": two(wrong(1, 4), SHORT)}, {}, r"tallies\['A'\]\['evaluator'\]: expected 4 questions, got 3$"),
        (
            {"A": two(SHORT, OTHER)},
            {},
            r"tallies\['A'\]\['evaluator'\]: expected the same questions and answers, got another in row 0$",
        ),
        (
            {"A": two(SHORT, tally(*[(True, True)] * 3, answer=ANSWER))},
            {},
            r"expected the same questions and answers, got another in row 0$",
        ),
        ({"A": two(SHORT, SHORT)}, {"level": 1}, r"level: expected a number in \(0, 1\), got 1$"),
        ({"A": two(SHORT, SHORT)}, {"above": -1}, r"above: expected at least 0, got -1$"),
    ],
)
def test_wrong_input_is_refused(tallies, options, text):
    with pytest.raises(ValueError, match=rf"^\[judge_sensitivity\] .*{text}"):
        judge_sensitivity(tallies, **options)
