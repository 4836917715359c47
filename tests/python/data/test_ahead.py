"""Pictures beside the models: the next step's are read meanwhile, each once, with the same errors in the same place."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from PIL import Image as PILImage

from vlmprobe.data import FolderImages, SourceGone, in_order, prefetched, shuffled


def folder(tmp_path: Path, count=6, bad=()) -> FolderImages:
    for at in range(count):
        PILImage.new("RGB", (8, 8), (at * 40, 0, 0)).save(tmp_path / f"{at}.png")
        if at in bad:
            (tmp_path / f"{at}.png").write_bytes(b"bad")
    return FolderImages(tmp_path)


class Watched:
    """What was asked for, by whom, and when the next step has been read."""

    def __init__(self, images_of):
        self.images_of, self.steps, self.threads = images_of, [], []
        self.inside, self.most, self.done = 0, 0, threading.Semaphore(0)

    def __call__(self, step):
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.steps.append(step)
        self.threads.append(threading.get_ident())
        try:
            return self.images_of(step)
        finally:
            self.inside -= 1
            self.done.release()

    def wait(self, count):
        for _ in range(count):
            assert self.done.acquire(timeout=10)


def test_the_next_step_is_read_by_another_thread_before_it_is_asked_for(tmp_path):
    watched = Watched(in_order(folder(tmp_path), 2))
    images_of = prefetched(watched)
    assert [image.key for image in images_of(0)] == ["0.png", "1.png"]
    watched.wait(2)
    assert watched.steps == [0, 1]
    assert watched.threads[0] == threading.get_ident() != watched.threads[1]


def test_steps_are_what_they_were_and_each_is_read_once(tmp_path):
    source = folder(tmp_path, bad=(3,))
    plain, watched = shuffled(source, 2, seed=5), Watched(shuffled(source, 2, seed=5))
    images_of = prefetched(watched)
    for step in range(9):
        first = images_of(step)
        assert images_of(step) is first and list(first) == list(plain(step))
        assert first.left_out == plain(step).left_out and first.total == 6
        assert [image.sha256 for image in first] == [image.sha256 for image in plain(step)]
    watched.wait(10)
    assert watched.steps == list(range(10)) and watched.most == 1
    assert sum(len(plain(step).left_out) for step in range(9)) == 3


def test_steps_may_be_asked_for_in_any_order(tmp_path):
    plain, images_of = in_order(folder(tmp_path), 2), prefetched(in_order(folder(tmp_path), 2))
    for step in (0, 5, 5, 2, 1, 0, 7):
        assert list(images_of(step)) == list(plain(step))


def test_an_error_of_the_thread_is_raised_where_its_step_is_asked_for_and_may_pass(tmp_path):
    gone, plain = set(), in_order(folder(tmp_path), 2)

    def sometimes(step):
        if step in gone:
            raise SourceGone("unplugged")
        return plain(step)

    watched = Watched(sometimes)
    images_of = prefetched(watched)
    gone.add(1)
    assert len(images_of(0)) == 2
    watched.wait(2)
    with pytest.raises(SourceGone, match="unplugged"):
        images_of(1)
    gone.clear()
    assert [image.key for image in images_of(1)] == ["2.png", "3.png"]


def test_no_more_than_two_steps_are_kept(tmp_path):
    watched = Watched(in_order(folder(tmp_path), 2))
    images_of = prefetched(watched)
    for step in range(6):
        images_of(step)
        assert set(images_of._steps) <= {step, step + 1}
    watched.wait(7)


def test_a_source_is_never_read_by_two_steps_at_once_even_when_one_is_jumped_to(tmp_path):
    plain, begun, go_on = in_order(folder(tmp_path), 2), threading.Event(), threading.Event()

    def slow(step):
        if step == 1:
            begun.set()
            assert go_on.wait(10)
        return plain(step)

    watched = Watched(slow)
    images_of = prefetched(watched)
    images_of(0)
    assert begun.wait(10)
    threading.Timer(0.2, go_on.set).start()
    assert list(images_of(7)) == list(plain(7)) and go_on.is_set()
    watched.wait(4)
    assert watched.most == 1 and watched.steps == [0, 1, 7, 8]
