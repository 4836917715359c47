"""What another judge or reward would have said, on real ledgers of the world."""

from __future__ import annotations

import pytest

from support.tasks import task_of
from vlmprobe import reward
from vlmprobe.ledger import Ledger
from vlmprobe.ledger.questions import is_correct
from vlmprobe.loop.tally import Tally
from vlmprobe.methods import RandomValid, Sweep, evaluate
from vlmprobe.methods import evaluation as evaluated
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.review.again import rejudge, reweight
from vlmprobe.studies.sensitivity import judge_sensitivity
from vlmprobe.studies.sensitivity_rewards import reward_sensitivity
from vlmprobe.world.source import WorldImages
from vlmprobe.world.verifiers import NoisyVerifier

SEPARATE = WorldImages(48, seed=42)


class BreaksDown(NoisyVerifier):
    """After the first step."""

    steps = 0

    def validity(self, images, questions):
        self.steps += 1
        if self.steps > 1:
            raise ConnectionError("down")
        return super().validity(images, questions)


N = 80  # answers of a pass: two steps


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory):
    """Two methods, each judged by the oracle, by a noisy judge, and by one that broke down; with three rewards."""
    found = {}
    for name, method in (("random valid", RandomValid()), ("template sweep", Sweep())):
        ledger = Ledger(tmp_path_factory.mktemp("sensitivity") / "ledger.sqlite")
        task = task_of(ledger, calls=12)
        evaluate(method.run(task), task, SEPARATE, n=N, name=name)
        run = f"{name}/evaluation"
        rejudge(ledger, run, NoisyVerifier(seed=3), SEPARATE, name="evaluator")
        with pytest.raises(ConnectionError):
            rejudge(ledger, run, BreaksDown(seed=3), SEPARATE, name="stopped")
        plain = reward.parse("valid * wrong - invalid")
        for judging, expression, base in (
            ("paper", reward.paper(), None),
            ("plain", plain, None),
            ("plain by evaluator", plain, "evaluator"),
        ):
            reweight(ledger, run, expression, HashedNgramEmbedder(), name=judging, base=base)
        found[name] = ledger
    yield found
    for ledger in found.values():
        ledger.close()


def seen(ledgers, *judgings):
    return {
        name: {judging or "verifier": evaluated(ledger, name, judging=judging) for judging in judgings}
        for name, ledger in ledgers.items()
    }


def test_a_run_judged_again_has_the_rates_of_each_judge(ledgers):
    tallies = seen(ledgers, None, "evaluator")
    found = judge_sensitivity(tallies, above=5)
    assert found.n_skills > 0  # as the world labels them
    for each in found.rates:
        assert (each.qvr, each.fdr) == Tally.of(tallies[each.method][each.judge].judged()).rates()
    rates = {(each.method, each.judge): each for each in found.rates}
    noisy = rates["random valid", "evaluator"]
    assert 0.8 < noisy.qvr.value < 1 and rates["random valid", "verifier"].qvr.value == 1
    validity, correctness, *_ = found.agreement
    assert validity.found.share.value == noisy.qvr.value  # all are valid, so agreeing is to hold it valid
    assert correctness.found.share.n == noisy.fdr.n < N and 0.8 < correctness.found.share.value < 1


def test_a_judging_that_was_stopped_leaves_the_rest_unknown(ledgers):
    whole, stopped = (judge_sensitivity(seen(ledgers, None, name)) for name in ("evaluator", "stopped"))
    rate = stopped.rates[1].qvr
    assert (rate.n, rate.n_unscored) == (64, N - 64)  # 32 images of two questions are a step
    assert 0.8 < rate.value < 1 and whole.rates[1].qvr.n == N
    assert stopped.agreement[0].found.share.n == 64


def test_a_run_with_other_rewards_has_the_means_of_each(ledgers):
    rewards = {"equation 5": "paper", "no diversity": "plain", "no diversity, evaluator": "plain by evaluator"}
    found = reward_sensitivity({name: (ledger, name) for name, ledger in ledgers.items()}, rewards=rewards)
    assert found.names == tuple(rewards)
    for name, judges in seen(ledgers, None, "evaluator").items():
        for title, judge in (("no diversity", "verifier"), ("no diversity, evaluator", "evaluator")):
            judged, estimate = judges[judge], found.means[name][title]
            truths = [is_correct(q) for _, q in judged.valid()]
            invalid = len(judged.rows) - len(judged.valid())
            scored = invalid + sum(truth is not None for truth in truths)
            assert estimate.n == scored and estimate.value == pytest.approx((truths.count(False) - invalid) / scored)
        assert 0 < found.means[name]["equation 5"].value <= found.means[name]["no diversity"].value
    again = reward_sensitivity({name: (ledger, name) for name, ledger in ledgers.items()}, rewards=rewards)
    assert again.plain() == found.plain()


def test_a_reward_that_is_not_in_the_ledger_is_refused(ledgers):
    with pytest.raises(ValueError, match=r"^\[Ledger\] judging: expected one of .*, got 'none'$"):
        reward_sensitivity(
            {"A": (ledgers["random valid"], "random valid")}, rewards={"equation 5": "paper", "other": "none"}
        )
