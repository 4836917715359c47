"""The file: what a person may change in it, what is refused, and how it is applied to other questions and grows."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from support.taxonomies import Saying, family, first_skills, made, method, questions
from vlmprobe.metrics.partitions import adjusted_mutual_information
from vlmprobe.models.embedder import HashedNgramEmbedder, shared_embedder
from vlmprobe.taxonomy.assign import OTHER, assigned, needed
from vlmprobe.taxonomy.build import Method, build
from vlmprobe.taxonomy.corpus import Question
from vlmprobe.taxonomy.document import read_taxonomy
from vlmprobe.taxonomy.figures import with_numbers
from vlmprobe.taxonomy.operations import Operation
from vlmprobe.taxonomy.primitives import primitives
from vlmprobe.world.labeller import WordLabeller

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def built():
    return made(questions(240))


@pytest.fixture
def file(built, tmp_path):
    path = tmp_path / "taxonomy.json"
    built.taxonomy.write(path)
    return path


def applied(taxonomy, asked, model=None):
    one = method(asked, model or WordLabeller())
    named = primitives(one.questions, one.picture, one.labeller)
    return needed(assigned(named, taxonomy, shared_embedder("minilm"))), one


def test_a_file_is_read_back_as_it_was(built, file):
    assert read_taxonomy(file) == built.taxonomy
    numbers = with_numbers(built, [method(questions(240), WordLabeller())], shared_embedder("minilm"))
    numbers.write(file)
    assert read_taxonomy(file).live[0].numbers["questions"]["a"] > 20


def test_the_operations_make_the_same_skills_again(built):
    again = built.taxonomy.replay()
    assert {each.action for each in built.taxonomy.operations} >= {"keep", "merge", "split"}
    assert again.book().of_topic == built.taxonomy.book().of_topic
    assert again.book().moved == built.taxonomy.book().moved and again.live == built.taxonomy.live


def test_another_run_is_assigned_with_the_same_ids_and_calls_for_primitives_alone(built):
    other = questions(240, seed=8)
    own, one = applied(built.taxonomy, other)
    assert {stage for stage, asked in one.labeller.asked.items() if asked.requests} == {"primitives"}
    assert {skill for each in own.values() for skill in each} <= {each.id for each in built.taxonomy.live} | {OTHER}
    found = [(*own[each.image, each.text], OTHER)[0] for each in other]
    assert adjusted_mutual_information(list(map(family, other)), found) >= 0.7


def test_what_is_near_no_topic_is_other(built):
    strange = Saying(lambda at, text, request: _all(text))
    own, _ = applied(built.taxonomy, questions(6), strange)
    assert set(own.values()) == {(OTHER,)}


def _all(text: str) -> str:
    return json.dumps({str(i): ["reading sheet music"] for i in range(1, 1 + text.count("<item_"))})


def test_labels_merges_and_topics_that_a_person_changed_survive_a_second_build(built, file):
    content = json.loads(file.read_text())
    skills = {each["id"]: each for each in content["skills"]}
    a, b, c, d = (each.id for each in built.taxonomy.live[:4])
    skills[a]["label"] = "seeing in color"
    skills[b]["into"] = c
    moved = next(each for each in content["topics"] if each["skills"] == [d] and len(each["primitives"]) > 1)
    other = next(each for each in content["topics"] if each["skills"] == [a])
    word = next(iter(moved["primitives"]))
    other["primitives"][word] = moved["primitives"].pop(word)
    file.write_text(json.dumps(content))

    second = made(questions(240), known=read_taxonomy(file))
    assert second.taxonomy.topics == read_taxonomy(file).topics  # nothing is clustered anew
    labels = {each.id: each.label for each in second.taxonomy.live}
    assert labels[a] == "seeing in color" and b not in labels
    skill_of = {primitive: skill for each in second.assigned["a"].values() for primitive, skill in each if skill}
    assert skill_of[word] == a
    assert not any(b in each for each in needed(second.assigned["a"]).values())


def test_an_operation_of_a_person_is_applied_by_a_replay(built):
    topic, into = built.taxonomy.topics[0], built.taxonomy.live[-1]
    mine = Operation(topic=topic.id, action="merge", labels=(into.label,), by="person")
    edited = replace(built.taxonomy, operations=(*built.taxonomy.operations, mine)).replay()
    assert edited.book().root(topic.skills[0]) == into.id
    assert len(edited.live) == len(built.taxonomy.live) - 1


def test_a_taxonomy_grows_by_what_is_near_none_of_its_topics():
    """A second run of the same method with questions of a kind that the first had none of."""
    few = [each for each in questions(240) if family(each) not in ("corner", "negation")]
    small = made(few, WordLabeller(wrong=0.0)).taxonomy
    grown = made(questions(240), WordLabeller(wrong=0.0), known=small)
    assert grown.taxonomy.topics[: len(small.topics)] == small.topics and len(grown.taxonomy.topics) > len(small.topics)
    ids = {each.id: each.label for each in small.live}
    assert {each.id: each.label for each in grown.taxonomy.live if each.id in ids} == ids
    new = {each.id for each in grown.taxonomy.live} - ids.keys()
    assert new and grown.taxonomy.next_topic > small.next_topic
    found = first_skills(grown, questions(240))
    corners = [skill for each, skill in zip(questions(240), found, strict=True) if family(each) == "corner"]
    assert sum(skill in new for skill in corners) > 0.6 * len(corners)


def test_skills_go_across_methods_and_each_says_whose_questions_it_has():
    first, second = questions(120), questions(120, seed=8)
    methods = [method(first, WordLabeller(), "one"), method(second, WordLabeller(seed=5), "two")]
    built = build(methods, methods[0].labeller, shared_embedder("minilm"))
    taxonomy = with_numbers(built, methods, shared_embedder("minilm"))
    assert {topic.method for topic in taxonomy.topics} == {"one", "two"}
    both = [each for each in taxonomy.live if min(each.numbers["questions"].values()) > 0]
    assert len(both) >= 0.8 * len(taxonomy.live) < len(taxonomy.topics)
    assert set(taxonomy.numbers["exclusive"]) == {"one", "two"} and len(taxonomy.numbers["shared"]) >= 3


def test_two_clusterings_and_a_stability_are_always_there(built):
    taxonomy = with_numbers(built, [method(questions(240), WordLabeller())], shared_embedder("minilm"))
    assert set(taxonomy.numbers["clusterings"]) == {"agglomerative", "hdbscan"}
    assert all(each["skills"] >= 10 and each["clusters"] >= 10 for each in taxonomy.numbers["clusterings"].values())
    stable = [each.numbers["stability"] for each in taxonomy.live]
    assert all(value is None or 0 <= value <= 1 for value in stable) and max(filter(None, stable)) > 0.9


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"format": "x"}, "format: expected 'vlmprobe taxonomy 1', got 'x'"),
        ({"threshold": "high"}, "threshold: .*got 'high'"),
        ({"skils": []}, "skils: "),
        ({"topics": [{"id": "t1"}]}, r"topics.0.method: "),
        ({"topics": [], "skills": [{"id": "s1", "label": "a"}] * 2}, "skills: expected every id once, got 's1' twice"),
        ({"topics": [], "skills": [{"id": "s1", "label": "a", "into": "s9"}]}, "into: expected known ids, got 's9'"),
        ({"topics": [], "skills": [{"id": "s1", "label": "a", "meta_skill": "m9"}]}, "expected known ids, got 'm9'"),
        (
            {
                "topics": [],
                "skills": [{"id": "s1", "label": "a", "into": "s2"}, {"id": "s2", "label": "b", "into": "s1"}],
            },
            "skill s1: into: expected no circle, got one",
        ),
    ],
)
def test_a_file_that_is_no_taxonomy_is_one_sentence(file, change, why):
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(ValueError, match=rf"\[taxonomy\] taxonomy.json: .*{why}"):
        read_taxonomy(file)


def test_topics_name_known_skills(file):
    content = json.loads(file.read_text())
    content["topics"][0]["skills"] = ["s99"]
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"topic {content['topics'][0]['id']}: skills: expected known ids, got 's99'"):
        read_taxonomy(file)


def test_another_embedder_is_refused(built):
    with pytest.raises(ValueError, match=r"\[taxonomy\] embedder: expected .*MiniLM.*, got .*hashed"):
        assigned({(0, "q"): ("counting",)}, built.taxonomy, HashedNgramEmbedder())


@pytest.mark.parametrize("count", [1, 10, 60])
def test_few_questions_make_a_smaller_taxonomy(count):
    asked = questions(count)
    built = made(asked)
    taxonomy = with_numbers(built, [method(asked, WordLabeller())], shared_embedder("minilm"))
    assert 1 <= len(taxonomy.live) <= len(taxonomy.topics) and taxonomy.clustering == {"a": "agglomerative"}
    assert taxonomy.numbers["methods"]["a"]["questions"] == count
    assert all(needed(built.assigned["a"])[each.image, each.text] is not None for each in asked)


def test_no_question_is_a_clear_error():
    with pytest.raises(
        ValueError, match=r"\[taxonomy\] questions: expected at least one valid question of 'a', got none"
    ):
        made([])
    with pytest.raises(ValueError, match="methods: expected every name once, got 'a' twice"):
        one = method(questions(2), WordLabeller())
        build([one, one], one.labeller, shared_embedder("hashed"))


def test_a_picture_that_cannot_be_read_is_skipped_and_counted():
    def gone(number: int):
        raise ValueError("gone")

    asked = [*questions(12), Question(99, "gone", "how many stars ?", None)]
    asked += [Question(3, "changed", "how many stars ?", None, sha256="0" * 64)]  # another picture by now
    one = method(asked, WordLabeller())
    two = Method(
        name="a", questions=asked, labeller=one.labeller,
        picture=lambda number: gone(number) if number == 99 else one.picture(number),
    )  # fmt: skip
    built = build([two], two.labeller, shared_embedder("minilm"))
    assert two.labeller.asked["primitives"].plain()["skipped"] == {"picture": 2}
    numbers = with_numbers(built, [two], shared_embedder("minilm")).numbers
    assert numbers["methods"]["a"]["without_primitives"] == 2
