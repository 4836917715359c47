"""Learning from a step of which the questioner drew a part: what others asked changes nothing of its update."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from support.rounds import RIGHT, WRONG, asked, told
from vlmprobe.loop.learn import NOTHING, adamw, learn
from vlmprobe.loop.round import Place, Round
from vlmprobe.loop.score import CREDITS, credit
from vlmprobe.loop.trainer import Trainer, TrainerOptions
from vlmprobe.methods.local_search import FOLLOWED, FollowUp, FollowUpOptions
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.models.replies import Reply
from vlmprobe.policy.questioner import Questioner
from vlmprobe.policy.sampling import drawn_of
from vlmprobe.reward import Rewards
from vlmprobe.text import parse_responses
from vlmprobe.world import tiny
from vlmprobe.world.source import WorldImages
from vlmprobe.world.verifiers import OracleVerifier

SOURCE = WorldImages(4, seed=31)
PICTURES = [SOURCE[i] for i in range(4)]
FAILED = ("is there a red circle ?", WRONG), ("is there a blue square ?", RIGHT)
ASKING = {"k": 2, "group_size": 3, "seed": 5, "step": 1}


def following() -> tuple[Questioner, FollowUp]:
    """A questioner, and one who follows up a failure about half of the pictures beside it."""
    questioner = Questioner(tiny.load("questioner-medium"))
    asker = FollowUp(questioner, FollowUpOptions(floor=0))
    asker.see(told(PICTURES, *FAILED, hints=["", ""]))
    return questioner, asker


def rewarded(round: Round) -> Round:
    """With a reward of its own for every question, by its text."""
    each = torch.tensor([len(text) % 7 for text in round.questions.text], dtype=torch.float64)
    return replace(round, rewards=Rewards(each, each.view(-1, 2).mean(1)))


@pytest.mark.parametrize("to", CREDITS)
def test_the_update_is_that_of_what_the_questioner_drew(to):
    questioner, asker = following()
    completions = asker.ask(PICTURES, **ASKING)
    drawn = drawn_of(completions)
    followed = [place for place, hint in enumerate(completions.hints) if hint.startswith(FOLLOWED)]
    assert len(followed) == 2 and not set(completions.group[drawn.rows].tolist()) & set(followed)
    assert [completions.texts[row] for row in drawn.rows.tolist()] == drawn.rollouts.texts

    whole = Round(place=Place(), images=PICTURES, asked=completions, questions=parse_responses(completions.texts, k=2))
    credited = credit(rewarded(whole), to)
    others = torch.ones(len(completions), dtype=torch.bool).index_fill(0, drawn.rows, False)
    assert credited.advantages[others].abs().sum() == 0 and credited.degenerate[others].all()
    learn(credited, questioner, adamw(questioner, 1e-3))

    alone = Questioner(tiny.load("questioner-medium"))
    own = [picture for place, picture in enumerate(PICTURES) if place not in followed]
    rollouts = alone.ask(own, **ASKING)
    assert rollouts.texts == drawn.rollouts.texts
    spans = parse_responses(rollouts.texts, k=2, token_ends=rollouts.token_ends)
    part = credit(rewarded(Round(place=Place(), images=own, asked=rollouts, questions=spans)), to)
    assert (credited.advantages[drawn.rows] == part.advantages).all() and part.advantages.abs().sum() > 0
    learn(part, alone, adamw(alone, 1e-3))
    assert all(map(torch.equal, questioner.parameters(), alone.parameters()))
    untaught = Questioner(tiny.load("questioner-medium"))
    assert not all(map(torch.equal, questioner.parameters(), untaught.parameters()))


def test_a_step_that_others_asked_alone_teaches_nothing():
    questioner, before = Questioner(tiny.load("questioner-medium")), Questioner(tiny.load("questioner-medium"))
    round = credit(rewarded(asked(PICTURES[:1], ["<response_1> is it red ? </response_1>"], k=2)))
    assert learn(round, questioner, adamw(questioner, 1e-3)) is NOTHING
    assert all(map(torch.equal, questioner.parameters(), before.parameters()))
    with pytest.raises(ValueError, match=r"^\[credit\] to: expected sequence where no questioner here drew"):
        credit(rewarded(asked(PICTURES[:1], ["<response_1> is it red ? </response_1>"], k=2)), "question")


class Mistaken:
    """Answers all but a few questions wrongly."""

    identity = "mistaken"

    def answer(self, images, questions):
        return [Reply.of("7") for _ in questions]


def test_a_trainer_remembers_what_others_asked_and_failed():
    questioner, asker = following()
    trainer = Trainer(
        questioner, Mistaken(), OracleVerifier(), HashedNgramEmbedder(), SOURCE,
        options=TrainerOptions(group_size=6, images_per_step=4, learning_rate=1e-4, within="step"), asker=asker,
    )  # fmt: skip
    before = [weight.clone() for weight in questioner.parameters()]
    report = trainer.step()
    followed = report.questions - 2 * 6 * 2  # the questioner has two of the pictures, six completions of two
    assert followed > 0 and 0 < report.wrong == len(trainer.memory)
    assert any(trainer.memory.count(picture.id) for picture in PICTURES)
    assert not all(map(torch.equal, questioner.parameters(), before))
