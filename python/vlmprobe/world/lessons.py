"""Training rows for the world's models: one picture, many lessons, packed under a block mask.

A row is the prefix (the picture's prompt) followed by lessons; each lesson sees the prefix and itself, and its
positions continue after the prefix. What a lesson is supervised on is marked by its labels.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch

from vlmprobe._native import core
from vlmprobe.world import habits, tiny
from vlmprobe.world.render import render

IMAGE_SIDE = 4  # merged patches per side: 16 image tokens
IGNORE = -100

_IDS = {word: i for i, word in enumerate(tiny.vocabulary())}


def encode(words: str) -> list[int]:
    """Token ids of words separated by white space, all of which the vocabulary knows."""
    return [_IDS[word] for word in words.split()]


@dataclass(frozen=True)
class Lesson:
    """What is asked, and what is to be said."""

    prompt: list[int]
    reply: list[int]
    tag: str = ""
    """The family, for accuracy by family."""


@dataclass(frozen=True)
class Batch:
    """Packed rows of I pictures, padded to L tokens."""

    pixel_values: torch.Tensor
    """[I * 64, 384] patches."""
    grid: torch.Tensor
    """[I, 3] patches in time, height and width."""
    ids: torch.Tensor
    """[I, L] token ids."""
    positions: torch.Tensor
    """[3, I, L] M-RoPE positions."""
    mask: torch.Tensor
    """[I, 1, L, L] float, 0 where a token may look and a large negative number where not."""
    labels: torch.Tensor
    """[I, L] the next token where it is supervised, else IGNORE."""
    tags: list[list[tuple[int, str]]]
    """Per row, (position of the first supervised label, tag) of each lesson."""


def question_lesson(scene, seed: int, index: int, part: int) -> Lesson:
    """A valid question and its answer."""
    sample = core.world.sample_question(scene, seed, index, part)
    return Lesson(encode(sample.question), encode(sample.answer), sample.program.family)


def habitual_lesson(scene, seed: int, index: int, part: int) -> Lesson:
    """A valid question by the law of `habits`, and its answer."""
    sample = habits.habitual_question(scene, random.Random(f"{seed} {index} {part}"))
    return Lesson(encode(sample.question), encode(sample.answer), sample.program.family)


def describe_lesson(scene) -> Lesson:
    """All objects in reading order: it teaches where things are."""
    order = sorted(scene.objects, key=lambda o: (int(o.y) // 21, o.x))
    said = " ; ".join(f"{o.size} {o.texture} {o.color} {o.shape}" for o in order)
    return Lesson(encode("describe the picture ."), encode(said), "describe")


def asking_lesson(scene, seed: int, index: int, part: int, k: int) -> Lesson:
    """k different valid questions in response tags."""
    questions: list[str] = []
    attempt = 0
    while len(questions) < k:
        question = core.world.sample_question(scene, seed, index, part * 64 + attempt).question
        attempt += 1
        if question not in questions:
            questions.append(question)
    said = " ".join(f"<response_{i}> {q} </response_{i}>" for i, q in enumerate(questions, start=1))
    return Lesson(encode(f"ask {k} questions"), encode(said), "ask")


def _prefix() -> tuple[list[int], torch.Tensor, int]:
    """Ids, [3, P] positions and the next free position of the picture's prompt."""
    image = IMAGE_SIDE * IMAGE_SIDE
    ids = encode(f"{tiny.USER} {tiny.VISION_START}") + [_IDS[tiny.IMAGE]] * image + encode(tiny.VISION_END)
    row = torch.arange(IMAGE_SIDE).repeat_interleave(IMAGE_SIDE) + 2
    column = torch.arange(IMAGE_SIDE).repeat(IMAGE_SIDE) + 2
    time = torch.full((image,), 2)
    begin, end = torch.tensor([0, 1]), torch.tensor([2 + IMAGE_SIDE])
    positions = torch.stack([torch.cat([begin, axis, end]) for axis in (time, row, column)])
    return ids, positions, 3 + IMAGE_SIDE


def collate(processor, scenes, lessons: list[list[Lesson]]) -> Batch:
    """Packs the lessons of each scene into one row."""
    prefix, prefix_positions, start = _prefix()
    rows, segments, positions, labels, tags = [], [], [], [], []
    for own in lessons:
        ids, segment, position = list(prefix), [0] * len(prefix), list(range(len(prefix)))
        label, tag = [IGNORE] * len(prefix), []
        for number, lesson in enumerate(own, start=1):
            asked = [*lesson.prompt, _IDS[tiny.ASSISTANT]]
            said = [*lesson.reply, _IDS[tiny.EOS]]
            tag.append((len(ids) + len(asked) - 1, lesson.tag))
            ids += asked + said[:-1]
            label += [IGNORE] * (len(asked) - 1) + said
            count = len(asked) + len(said) - 1
            segment += [number] * count
            position += list(range(start, start + count))
        rows.append(ids)
        segments.append(segment)
        positions.append(position)
        labels.append(label)
        tags.append(tag)

    length = max(map(len, rows))

    def pad(values, fill):
        return torch.tensor([row + [fill] * (length - len(row)) for row in values])

    segment = pad(segments, -1)
    three = pad(positions, 0).expand(3, -1, -1).clone()
    three[:, :, : len(prefix)] = prefix_positions[:, None]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    allowed = causal & ((segment[:, None, :] == 0) | (segment[:, None, :] == segment[:, :, None]))
    mask = torch.zeros(len(rows), 1, length, length).masked_fill_(~allowed[:, None], -1e9)
    pixels = processor.image_processor([render(scene) for scene in scenes], return_tensors="pt")
    return Batch(pixels["pixel_values"], pixels["image_grid_thw"], pad(rows, 0), three, mask, pad(labels, IGNORE), tags)
