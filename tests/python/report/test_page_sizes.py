"""A page stays small enough to be sent, and can be searched, however many questions it has."""

import json
import random
import re

import numpy as np
import pytest
from PIL import Image as PILImage
from playwright.sync_api import expect

from support.browser import Opened, choose, count
from support.run_ledgers import page_of
from vlmprobe.report.run.packing import packed
from vlmprobe.report.run.pictures import thumbnails
from vlmprobe.report.run.questions import Question
from vlmprobe.report.run.section import Section
from vlmprobe.report.run.write import PageContent, write_run_page

WORDS = [f"word{i}" for i in range(3000)]


def questions_of(n, pictures):
    """As long as those of real models; no two have the same words."""
    generator = random.Random(0)
    texts = [generator.choices(WORDS, k=24) for _ in range(n)]
    return [
        Question(
            method="rl", measuring=False, step=i // 64, image=i % pictures, key=f"photo-{i % pictures}.jpg",
            text=" ".join(words[:12]), answer=" ".join(words[12:18]), reason=" ".join(words[18:]), votes="2 of 3",
            valid=True, correct=i % 3 != 0, why="", answerer="a", judge="v", skills=[f"skill {i % 90}"],
            modes=["m1"] if i % 30 == 0 else [], rewards={}, known={},
        )
        for i, words in enumerate(texts)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def photo():
    """A picture that compresses as badly as one can, by name."""
    pixels = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    images = [PILImage.fromarray(np.roll(pixels, 7 * i, axis=1)) for i in range(8)]
    return lambda key: images[int(key[6:-4]) % 8]


def written(path, questions, find):
    small = thumbnails(questions, find)
    columns = packed(questions, small.place, [("m1", "questions with “word1”")])
    page = PageContent(
        title="Large", sections=[Section(id="questions", title="All questions")], packed=columns, pictures=small.uris
    )
    return write_run_page(path, page), small


def test_a_page_of_2000_questions_about_as_many_photographs_is_below_5_mb(tmp_path, photo):
    path, small = written(tmp_path / "p.html", questions_of(2000, 2000), photo)
    assert path.stat().st_size < 5e6
    assert len(small.uris) + small.left_out == 2000 and len(small.uris) > 700 and small.side == 80


def test_a_run_of_2000_questions_about_photographs_has_a_page_below_5_mb(tmp_path, photo):
    (tmp_path / "run").mkdir()
    (tmp_path / "photos").mkdir()
    for i in range(250):
        photo(f"photo-{i}.jpg").resize((640, 480)).save(tmp_path / "photos" / f"photo {i}.png", format="JPEG")
    words = ("--images", str(tmp_path / "photos"))
    page = page_of(tmp_path / "run", *words, steps=42, said=["photo"], pictures=250)
    assert 2e6 < page.stat().st_size < 5e6
    assert json.loads(re.search('id="pictures">(.*?)</script>', page.read_text())[1])[249].startswith("data:image/jpeg")


def test_a_page_of_100000_questions_is_below_60_mb_and_is_searched(browser, tmp_path, photo):
    questions = questions_of(100_000, 500)
    path, small = written(tmp_path / "p.html", questions, photo)
    assert path.stat().st_size < 60e6 and len(small.uris) == 500
    with Opened(browser, path) as opened:
        assert opened.text("#count") == f"{33_334:,} of 100,000 questions"
        rare = questions[77_777]
        assert choose(opened, outcome="any") == 100_000
        opened.page.fill("#filters [name=text]", rare.text)
        expect(opened.page.locator("#found li")).to_have_count(1, timeout=10_000)
        assert count(opened) == 1 and rare.answer in opened.text("#found")
        assert opened.page.locator("#found img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
        opened.page.click("#clear")
        assert choose(opened, mode="questions with “word1”") == 3334
        assert opened.wrong == [] and opened.elsewhere() == []
