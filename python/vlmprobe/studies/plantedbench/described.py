"""What the world's stand-in says of a run's questions and pictures: skills by a taxonomy, and tags.

It is what `vlmprobe taxonomy` and `vlmprobe modes --describe` make of a probe, with the stand-in as the model that
labels. Questions that the run did not ask are labelled by the same taxonomy, to hold modes against the truth.
"""

from __future__ import annotations

from collections.abc import Sequence

from vlmprobe.data.source import ImageSource
from vlmprobe.ledger import Ledger
from vlmprobe.models.embedder import shared_embedder
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.modes.asked import Besides
from vlmprobe.modes.concepts import Concept, labels_of, picture_of
from vlmprobe.modes.labels import NearLabels, of_most
from vlmprobe.taxonomy.asking import Labeller
from vlmprobe.taxonomy.assign import OTHER, assigned, needed
from vlmprobe.taxonomy.build import Built, Method, build
from vlmprobe.taxonomy.corpus import Question, valid_questions
from vlmprobe.taxonomy.pictures import tags_of
from vlmprobe.taxonomy.primitives import primitives
from vlmprobe.world.labeller import WordLabeller
from vlmprobe.world.sight import Sight


class Described:
    """What is said of a run.

    Args:
        ledger: of the run.
        runs: names of those whose valid questions are labelled, in one taxonomy.
        images: the pictures of the world that it asked about.
        seed: of what the stand-in gets wrong.
    """

    def __init__(self, ledger: Ledger, runs: Sequence[str], images: ImageSource, *, seed: int = 0):
        self._seed, self._embedder = seed, shared_embedder("minilm")
        questions = [each for run in runs for each in valid_questions(ledger, run)]
        labeller = self._labeller(images)
        self.built: Built | None = None
        """The taxonomy; None where no question was valid."""
        if questions:
            method = Method(name=runs[0], questions=questions, picture=images.__getitem__, labeller=labeller)
            self.built = build([method], labeller, self._embedder)
        said = needed(self.built.assigned[runs[0]]) if self.built else {}
        skills = of_most((text, self._names(ids)) for (_, text), ids in said.items())
        self.besides = Besides(questions=NearLabels(skills), pictures=tags_of(questions, images.__getitem__, labeller))

    def of_others(self, rows: Sequence[tuple[int, str]], images: ImageSource) -> list[frozenset[Concept]]:
        """[N] labels of questions about other pictures of the world, and tags of these.

        Args:
            rows: [N] number of a picture, and the question.
            images: the pictures.
        """
        if self.built is None or not rows:
            return [frozenset()] * len(rows)
        labeller = self._labeller(images)
        questions = [Question(image, images[image].key, text, None) for image, text in rows]
        named = primitives(questions, images.__getitem__, labeller)
        skills = needed(assigned(named, self.built.taxonomy, self._embedder))
        tags = tags_of(questions, images.__getitem__, labeller)
        return [
            labels_of(self._names(skills.get((each.image, each.text), ()))) | picture_of(tags.get(each.image_key, ()))
            for each in questions
        ]

    def _labeller(self, images: ImageSource) -> Labeller:
        encoder = EncodedImages(capacity=len(images))
        return Labeller(WordLabeller(seed=self._seed, sight=Sight(images, encoder)), images=encoder)

    def _names(self, ids: Sequence[str]) -> list[str]:
        assert self.built is not None, "an id is of a taxonomy"
        names = {skill.id: skill.label for skill in self.built.taxonomy.live}
        return [names[each] for each in ids if each != OTHER and each in names]
