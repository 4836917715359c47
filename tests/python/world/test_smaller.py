"""Smaller pictures of the world: what is true of them is what the world says, and an honest crop of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from vlmprobe._native import core
from vlmprobe.world.smaller import framed, smaller
from vlmprobe.world.source import WorldImages, scene_of

IMAGES = WorldImages(40, seed=5)


def places(scene):
    return [(each.color, each.shape, each.size, each.texture, each.x, each.y) for each in scene.objects]


def test_a_part_of_a_scene_has_its_first_objects_and_the_same_ground():
    for index in range(len(IMAGES)):
        whole = scene_of(IMAGES[index])
        for count in range(1, len(whole.objects) + 1):
            part = IMAGES.first_objects(index, count)
            assert places(part.meta) == places(whole)[:count] and part.meta.id == whole.id
        assert (np.asarray(part.pixels) == np.asarray(IMAGES[index].pixels)).all()  # with all of them


def painted(image, ground):
    """Pixels that are not of the ground."""
    return int((np.asarray(image.pixels) != ground).any(-1).sum())


def test_a_frame_shows_all_objects_whole():
    clean = WorldImages(20, seed=5, clutter=0.0)
    for index in range(len(clean)):
        image, cut = clean[index], framed(clean[index])
        ground = np.asarray(image.pixels)[0, 0]
        assert cut.meta is image.meta and painted(cut, ground) == painted(image, ground)
    assert sum(framed(clean[i]).pixels.size < (64, 64) for i in range(20)) > 10


def test_smaller_pictures_get_smaller_and_end():
    image, question = IMAGES[3], "how many objects are there ?"
    for _ in range(20):
        found = list(smaller(IMAGES, image, question))
        if not found:
            break
        image = found[0]
    assert not found and len(scene_of(image).objects) == 1 and "[frame]" in image.key


def test_a_question_about_a_corner_is_asked_of_no_frame():
    image = next(IMAGES[i] for i in range(40) if len(scene_of(IMAGES[i]).objects) > 2)
    question = "bottom right corner : what texture ?"
    assert core.world.judge(scene_of(image), question).program.family == "corner"
    assert {each.pixels.size for each in smaller(IMAGES, image, question)} == {(64, 64)}


def test_a_picture_of_another_source_and_a_number_that_is_none_are_errors():
    with pytest.raises(ValueError, match=r"\[smaller\] image: expected a picture of WorldImages"):
        list(smaller(IMAGES, WorldImages(4, seed=6)[0], "how many objects are there ?"))
    with pytest.raises(ValueError, match=r"\[WorldImages\] count: expected 1 to \d objects, got 0"):
        IMAGES.first_objects(0, 0)
