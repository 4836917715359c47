"""The world's own labels come back out of the stand-in's noisy words, and they do not where a stage is broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from support.taxonomies import (
    PER_PICTURE,
    Saying,
    family,
    first_skills,
    labels,
    made,
    method,
    pool,
    questions,
    shuffled,
)  # fmt: skip
from vlmprobe import metrics
from vlmprobe.metrics.partitions import adjusted_mutual_information, adjusted_rand, harmonic_purity
from vlmprobe.models.embedder import shared_embedder
from vlmprobe.policy.questioner import Questioner
from vlmprobe.taxonomy import assign
from vlmprobe.taxonomy import primitives as stage
from vlmprobe.taxonomy.again import named_again
from vlmprobe.taxonomy.assign import OTHER, needed
from vlmprobe.taxonomy.build import Built
from vlmprobe.taxonomy.corpus import Question
from vlmprobe.taxonomy.figures import with_numbers
from vlmprobe.taxonomy.skills import Batch, operation_of
from vlmprobe.world import tiny
from vlmprobe.world.labeller import WordLabeller
from vlmprobe.world.measure import asked

pytestmark = pytest.mark.usefixtures("one_thread")
N = 600


@pytest.fixture(scope="module")
def corpus() -> list[Question]:
    return questions(N)


@pytest.fixture(scope="module")
def built(corpus) -> Built:
    return made(corpus)


def ami(corpus: Sequence[Question], skills: Sequence[str]) -> float:
    return adjusted_mutual_information(list(map(family, corpus)), skills)


def test_families_come_back_out_of_noisy_words(corpus, built):
    families, found = list(map(family, corpus)), first_skills(built, corpus)
    pairs, images = list(zip(families, found, strict=True)), [each.image for each in corpus]
    estimate = metrics.at_equal_n(
        lambda rows: adjusted_mutual_information(*zip(*rows, strict=True)), pairs, N, cluster=images, bounds=(0.0, 1.0)
    )
    assert estimate.n == N and estimate.clusters == N // PER_PICTURE
    assert estimate.value >= 0.8 and estimate.low > 0.75
    assert adjusted_rand(families, found) >= 0.7
    own = needed(built.assigned["a"])
    assert harmonic_purity(list(map(labels, corpus)), [own[each.image, each.text] for each in corpus]) >= 0.9


@pytest.mark.parametrize("name", ["questioner", "questioner-broad"])
def test_families_come_back_from_what_the_packages_questioners_ask(name):
    images = [pool()[i] for i in range(60)]
    slots = asked(Questioner(tiny.load(name)), images, k=2, group_size=2, seed=5)
    corpus = [Question(slot.image.id, slot.image.key, slot.text, None) for slot in slots if slot.valid]
    assert len(corpus) > 100 and len(set(map(family, corpus))) >= 12
    assert ami(corpus, first_skills(made(corpus), corpus)) >= 0.8


def test_stage_3_is_what_brings_them_together(corpus, built):
    """By topics alone the words of one skill stay apart."""
    alone = made(corpus, Saying(lambda at, text, request: "I cannot say." if at == "skills" else None))
    assert len(alone.taxonomy.live) > len(built.taxonomy.live)
    assert {each.by for each in alone.taxonomy.operations} <= {"rule"}
    assert ami(corpus, first_skills(alone, corpus)) < ami(corpus, first_skills(built, corpus)) - 0.03


def test_primitives_of_other_questions_recover_nothing(corpus, monkeypatch):
    """Stage 1 broken: the skills of each question are those of another one."""
    monkeypatch.setattr("vlmprobe.taxonomy.build.primitives", shuffled(stage.primitives))
    monkeypatch.setattr("vlmprobe.taxonomy.build.named_again", shuffled(named_again))
    silent = Saying(lambda at, text, request: "I cannot say." if at == "skills" else None)
    assert ami(corpus, first_skills(made(corpus, silent), corpus)) < 0.05
    assert ami(corpus, first_skills(made(corpus), corpus)) < 0.5  # stage 3 sees that they do not fit


def test_one_cluster_of_everything_recovers_nothing(corpus, monkeypatch):
    """Stage 2 broken: all primitives are one topic."""
    monkeypatch.setattr("vlmprobe.taxonomy.topics.clustered", lambda texts, rows, **more: [0] * len(texts))
    model = Saying(lambda at, text, request: "I cannot say." if at == "skills" else None)
    assert abs(ami(corpus, first_skills(made(corpus, model), corpus))) < 0.05


def test_a_model_that_merges_everything_recovers_nothing(corpus):
    """Stage 3 broken: every topic goes into the first known skill."""

    def merges(at: str, text: str, request) -> str | None:
        if at != "skills" or "<item_1>" not in text.partition("<known_skills>")[2]:
            return None
        known = text.partition("<known_skills>\n<item_1>")[2].partition("</item_1>")[0]
        return f'{{"action": "merge", "labels": ["{known}"]}}'

    broken = made(corpus, Saying(merges))
    assert len(broken.taxonomy.live) <= 2
    assert ami(corpus, first_skills(broken, corpus)) < 0.2


def test_new_words_go_to_the_nearest_mean_and_to_the_farthest_one_nothing_is_recovered(built, monkeypatch):
    """Assignment, broken: other questions in words that no topic lists, by means of topics that list one each."""
    other, embedder, taxonomy = questions(240, seed=8), shared_embedder("minilm"), _forgetful(built)
    one = method(other, WordLabeller(seed=4, wrong=0.0))
    named = stage.primitives(one.questions, one.picture, one.labeller)

    def recovered() -> float:
        own = needed(assign.assigned(named, taxonomy, embedder))
        return ami(other, [(*own[each.image, each.text], OTHER)[0] for each in other])

    right, nearest = recovered(), assign.nearest
    monkeypatch.setattr(assign, "nearest", lambda rows, among: nearest(-rows, among))
    assert right > 0.6 and recovered() < right - 0.3


def _forgetful(built: Built):
    """A taxonomy whose topics list one primitive each, and no question that was moved."""
    topics = [
        replace(each, primitives=dict(list(each.primitives.items())[:1]), moved={}) for each in built.taxonomy.topics
    ]
    return replace(built.taxonomy, topics=tuple(topics), threshold=-1.0)


def test_the_same_corpus_gives_the_same_taxonomy_twice(corpus, built):
    again, methods, embedder = made(corpus), [method(corpus, WordLabeller())], shared_embedder("minilm")
    assert again == built
    assert with_numbers(again, methods, embedder) == with_numbers(built, methods, embedder)


def test_other_words_for_the_same_questions_give_other_labels_and_much_the_same_skills(corpus, built):
    other = made(corpus, WordLabeller(seed=9))
    assert {each.label for each in other.taxonomy.live} != {each.label for each in built.taxonomy.live}
    assert adjusted_mutual_information(first_skills(other, corpus), first_skills(built, corpus)) > 0.6


def test_more_wrong_primitives_are_more_wrong_skills(corpus):
    found = [ami(corpus, first_skills(made(corpus, WordLabeller(wrong=wrong)), corpus)) for wrong in (0.0, 0.1, 0.4)]
    assert found[0] > 0.97 and found[0] > found[1] + 0.02 > found[2] + 0.1


def test_questions_that_lose_their_skill_are_named_once_more(corpus, built):
    """Stage 3 takes a wrong skill from a question; without the second naming nobody says which it needs."""
    silent = made(corpus, Saying(lambda at, text, request: "I cannot say." if at == "again" else None))
    assert replace(silent.taxonomy, labeller=built.taxonomy.labeller) == built.taxonomy
    assert ami(corpus, first_skills(built, corpus)) > ami(corpus, first_skills(silent, corpus)) + 0.08


def test_every_question_keeps_a_place_and_nothing_is_other_in_its_own_taxonomy(corpus, built):
    own = needed(built.assigned["a"])
    assert own.keys() == {(each.image, each.text) for each in corpus}
    assert not any(OTHER in skills for skills in own.values())


def test_an_operation_names_questions_by_their_numbers():
    batch = Batch("t1", ("how many ?", "which color ?", "where ?"), True)
    reply = {"action": "split", "labels": ["counting", "color  naming"], "parts": [[1], [2]], "out": []}
    found = operation_of(reply, batch)
    assert found.labels == ("counting", "color naming") and found.parts == (("how many ?",), ("which color ?",))
    assert found.out == ("where ?",)  # in no part
