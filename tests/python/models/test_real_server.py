"""A short training run against a server that nobody here wrote: `transformers serve` with the world's answerer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from vlmprobe import cli
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.loop.trainer import TrainerOptions
from vlmprobe.models.chat import ChatClient
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.models.judges import ModelAnswerer
from vlmprobe.models.model import Message, Request, Sampling, Status
from vlmprobe.models.prompt_files import PromptFiles
from vlmprobe.policy.questioner import Questioner
from vlmprobe.run.trainer import Trainer
from vlmprobe.vlm.answerer import HFAnswerer
from vlmprobe.vlm.local import LocalModel
from vlmprobe.vlm.lora import add_lora
from vlmprobe.vlm.model import VisionLanguageModel
from vlmprobe.world import tiny
from vlmprobe.world.source import WorldImages
from vlmprobe.world.verifiers import OracleVerifier

LAUNCHER = Path(__file__).parents[1] / "support" / "serve_transformers.py"
CHECKPOINT = str(tiny.WEIGHTS / "answerer")
OPTIONS = TrainerOptions(k=3, group_size=4, images_per_step=4, learning_rate=3e-4)
STEPS = 3


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@contextmanager
def serving(folder: Path, checkpoint: str) -> Iterator[str]:
    port = free_port()
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(folder), "OMP_NUM_THREADS": "1"}
    with (folder / "log").open("w") as log:
        command = [sys.executable, str(LAUNCHER), checkpoint, str(port)]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        until = time.monotonic() + 120
        while not healthy(port):
            assert process.poll() is None and time.monotonic() < until, (folder / "log").read_text()[-3000:]
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("serve"), CHECKPOINT) as url:
        yield url


def healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def prompts(tmp_path) -> PromptFiles:
    """The world's answerer was taught questions without a word around them."""
    (tmp_path / "answerer.txt").write_text("{question}")
    return PromptFiles.load(tmp_path)


def train(answerer, folder: Path) -> tuple[list[str], Trainer]:
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.begin(RunRecord(id="run"))
        trainer = Trainer(
            Questioner(tiny.load("questioner-broad")),
            answerer,
            OracleVerifier(),
            HashedNgramEmbedder(),
            WorldImages(8, seed=11),
            options=OPTIONS,
            ledger=ledger,
        )
        trainer.train(STEPS)
        return [line.replace(answerer.identity, "the answerer") for line in ledger.dump()], trainer


def test_a_run_through_the_server_is_the_run_in_the_process(server, prompts, tmp_path):
    client = ChatClient(server, model=CHECKPOINT, first_limit=4, max_limit=4)
    remote = ModelAnswerer(client, prompts=prompts, sampling=Sampling(temperature=0.0, max_tokens=9))
    (tmp_path / "remote").mkdir()
    (tmp_path / "local").mkdir()
    found, through = train(remote, tmp_path / "remote")
    expected, inside = train(HFAnswerer(tiny.load("answerer")), tmp_path / "local")
    assert 50 < client.spent.calls <= through.tally.calls  # equal questions in flight are sent once
    assert len(through.memory) > 0
    assert without_judges(found) == without_judges(expected)
    weights = through.questioner.model.model.state_dict(), inside.questioner.model.model.state_dict()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])


def without_judges(lines: list[str]) -> list[str]:
    """The two answerers have names of their own, and one is asked by calls; all else must be the same."""
    own = ('"table": "judges"', '"table": "calls"', '"table": "events"')
    return [line for line in lines if not any(table in line for table in own)]


def test_the_server_sees_the_image(server):
    """Servers that lose an image answer 200: the prompt's length tells."""
    client = ChatClient(server, model=CHECKPOINT)
    text = Request(messages=[Message(role="user", text="how many red objects are there ?")])
    encoded = EncodedImages()(WorldImages(1, seed=1)[0])
    shown = Request(messages=[Message(role="user", text="how many red objects are there ?", images=[encoded])])
    bare, full = client.reply([text, shown])
    assert full.status == Status.OK
    assert full.usage.prompt_tokens - bare.usage.prompt_tokens >= 16


def test_another_models_name_is_refused_with_the_servers_words(server):
    [reply] = ChatClient(server, model="another").reply([Request(messages=[Message(role="user", text="hi")])])
    assert reply.status == Status.REJECTED
    assert "Server is pinned to" in reply.error


def test_adapters_that_were_trained_and_merged_answer_through_a_server_as_they_do_here(tmp_path):
    torch.manual_seed(0)
    model = tiny.load("answerer")
    add_lora(model, rank=2)
    with torch.no_grad():
        for weights in model.weights(trained=True).values():
            weights.add_(0.1 * torch.randn_like(weights))
    model.save(tmp_path / "adapters")
    assert cli.main(["merge", str(tmp_path / "adapters"), str(tmp_path / "merged")]) == 0
    pictures = [EncodedImages()(image) for image in WorldImages(6, seed=1)]
    asked = [Message(role="user", text="how many red objects are there ?", images=[picture]) for picture in pictures]
    requests = [Request(messages=[each], sampling=Sampling(temperature=0.0, max_tokens=4)) for each in asked]
    here = {
        name: [reply.text for reply in LocalModel(VisionLanguageModel.load(path), identity=name).reply(requests)]
        for name, path in (("with", tmp_path / "merged"), ("without", CHECKPOINT))
    }
    with serving(tmp_path, str(tmp_path / "merged")) as url:
        replies = ChatClient(url, model=str(tmp_path / "merged")).reply(requests)
    assert [reply.text for reply in replies] == here["with"] != here["without"]
