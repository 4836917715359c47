"""Runs one arm: its method on the pool, the evaluation pass, and the evaluator's verdicts on it; all in its ledger.

    <folder>/ledger.sqlite   runs as in `vlmprobe.methods.task`
    <folder>/done.json       written at the end: an arm that has it is not run again

An arm that was stopped goes on where it was, to the same numbers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from vlmprobe import grpo
from vlmprobe._util.files import write_text
from vlmprobe._util.json import member, read_object
from vlmprobe.ledger import Ledger
from vlmprobe.ledger.questions import is_correct, is_valid
from vlmprobe.loop.trainer import TrainerOptions
from vlmprobe.methods import (
    RL,
    RLSFT,
    SFT,
    ConMe,
    ExpertIteration,
    Method,
    RandomValid,
    Sweep,
    Task,
    ZeroShot,
    evaluate,
    evaluation,
    pool_runs,
)
from vlmprobe.methods.sft import SFTOptions
from vlmprobe.models.protocols import Verifier
from vlmprobe.review.again import rejudge, reweight
from vlmprobe.run.directory import RunDirectory
from vlmprobe.studies.plan import Arm, Scale
from vlmprobe.studies.setup import Setup

EVALUATOR = "evaluator"
"""The judging that tables and figures are made of."""
REWEIGHTED = {"paper": "paper", "no diversity": "paper-no-diversity", "no penalty": "paper-no-penalty"}
"""Rewards that the questions of table 1 are seen under, by the evaluator's verdicts: name -> preset."""


def training(scale: Scale) -> TrainerOptions:
    """Of RL."""
    return TrainerOptions(
        learning_rate=scale.learning_rate, credit=scale.credit, loss=replace(grpo.PAPER, beta=scale.beta)
    )


def rl(arm: Arm, setup: Setup, scale: Scale, *, turns: bool = False) -> RL:
    """RL with the arm's reward and L."""
    return RL(
        questioner=setup.questioner(arm.questioner),
        options=training(scale),
        reward=scale.formula(arm.reward),
        prefix_length=arm.prefix_length,
        preface=setup.turns if turns else None,
        name=arm.method,
    )


def learning(scale: Scale) -> SFTOptions:
    """Of SFT and Expert Iteration."""
    return SFTOptions(epochs=scale.sft_epochs, learning_rate=scale.sft_rate)


METHODS: dict[str, Callable[[Arm, Setup, Scale], Method]] = {
    "zero-shot": lambda arm, setup, scale: ZeroShot(asker=setup.questioner(arm.questioner)),
    "ConMe": lambda arm, setup, scale: ConMe(
        asker=lambda answerer: setup.questioner(arm.questioner).with_preface(setup.turns(answerer))
    ),
    "SFT": lambda arm, setup, scale: SFT(
        questioner=setup.questioner(arm.questioner), rows=setup.rows(arm.k), options=learning(scale)
    ),
    "Expert Iteration": lambda arm, setup, scale: ExpertIteration(
        questioner=setup.questioner(arm.questioner),
        rounds=scale.rounds,
        options=replace(learning(scale), epochs=1),
    ),
    "RL": rl,
    "RL+SFT": lambda arm, setup, scale: RLSFT(
        rl=rl(arm, setup, scale), rows=setup.rows(arm.k), options=learning(scale)
    ),
    "RL ConMe": lambda arm, setup, scale: rl(arm, setup, scale, turns=True),
    "random valid": lambda arm, setup, scale: RandomValid(),
    "template sweep": lambda arm, setup, scale: Sweep(),
}


def folder_of(arm: Arm) -> str:
    """Its folder's name."""
    return arm.name.replace(" ", "-").replace("=", "").lower()


def done(folder: Path) -> bool:
    """Whether an arm has ended."""
    return (folder / "done.json").is_file()


def check_same(arm: Arm, setup: Setup, folder: Path, *, seed: int) -> None:
    """An arm that has ended must be the one that is asked for.

    Raises:
        ValueError: it had other settings.
    """
    file = folder / "done.json"
    known = member("reproduce", str(file), read_object("reproduce", file), "settings", dict)
    asked = json.loads(json.dumps(settings_of(arm, setup, seed)))
    if known != asked:
        for name in ("arm", "settings"):
            member("reproduce", f"{file}: settings", known, name, dict)
        was, now = known["arm"] | known["settings"], asked["arm"] | asked["settings"]
        name = next((name for name in (*now, *was) if now.get(name) != was.get(name)), "seed")
        raise ValueError(
            f"[reproduce] {folder}: expected an arm that was run with {name} {now.get(name)!r:.200}, got "
            f"{was.get(name)!r:.200}; other settings need another folder (--run)"
        )


def settings_of(arm: Arm, setup: Setup, seed: int) -> dict[str, Any]:
    """What decides an arm's numbers; the tables that show it do not."""
    return {"arm": asdict(arm) | {"tables": None}, "seed": seed, "settings": setup.settings()}


def run_arm(arm: Arm, setup: Setup, scale: Scale, folder: Path, *, seed: int, versions: dict[str, str]) -> float:
    """Runs what is missing of an arm that has not ended; the seconds that it took this time.

    Raises:
        ValueError: the folder holds an arm with other settings.
        StepNotMade: no call of a model came through, or its budget is spent; what was done is kept.
        RuntimeError: nothing of the evaluation pass was judged, so there is no number of the arm.
    """
    began = time.monotonic()
    with RunDirectory(folder, quiet=True, resume=True) as directory:
        ledger = directory.ledger
        evaluator = setup.evaluator(ledger, arm.method)  # whose key is missed before hours are spent
        method = METHODS[arm.method](arm, setup, scale)
        task = task_of(arm, setup, scale, ledger, folder, seed=seed, versions=versions, resumed=directory.resumed)
        asker = method.run(task)
        evaluate(asker, task, setup.held_out, n=scale.n, name=arm.method)
        judged_again(arm, setup, scale, ledger, evaluator)
        check_judged(arm, ledger)
    took = time.monotonic() - began
    ended = {"settings": settings_of(arm, setup, seed), "seconds": round(took, 1)}
    write_text(folder / "done.json", json.dumps(ended, indent=1) + "\n")
    return took


def check_judged(arm: Arm, ledger: Ledger) -> None:
    """An arm is not done with numbers of nothing.

    Raises:
        RuntimeError: no question of the evaluation pass has a verdict, or no answer.
    """
    rows = [question for _, question in evaluation(ledger, arm.method, judging=EVALUATOR).rows]
    questions = [is_valid(question) for question in rows]
    answers = [is_correct(question) for question in rows if question.answer is not None and is_valid(question)]
    for what, verdicts in (("questions", questions), ("answers", answers)):
        if all(verdict is None for verdict in verdicts) and (verdicts or what == "questions"):
            raise RuntimeError(
                f"[reproduce] {arm.name}: expected verdicts of the evaluator, got none on {len(verdicts)} {what}; "
                f"what it said is in {ledger.path}"
            )


def judged_again(arm: Arm, setup: Setup, scale: Scale, ledger: Ledger, evaluator: Verifier) -> None:
    """Evaluation pass and pool by the evaluator, and the pass under other rewards; the answerer is not asked."""
    run = f"{arm.method}/evaluation"
    rejudge(ledger, run, evaluator, setup.held_out, name=EVALUATOR)
    if scale.judge_pool:
        for asked in pool_runs(ledger, arm.method):
            rejudge(ledger, asked, evaluator, setup.pool, name=EVALUATOR)
    if 1 in arm.tables:
        for name, preset in REWEIGHTED.items():
            formula, length = scale.formula(preset), arm.prefix_length
            reweight(ledger, run, formula, setup.embedder, name=judging(name), base=EVALUATOR, prefix_length=length)


def judging(reward_name: str) -> str:
    """Name of the judging under a reward."""
    return f"reward: {reward_name}"


def task_of(
    arm: Arm,
    setup: Setup,
    scale: Scale,
    ledger: Ledger,
    folder: Path,
    *,
    seed: int,
    versions: dict[str, str],
    resumed: bool,
) -> Task:
    """What the arm's method is given."""
    answerer = setup.answerer(arm.answerer, ledger, arm.method)
    return Task(
        images=setup.pool,
        answerer=answerer,
        verifier=setup.verifier(ledger, arm.method),
        embedder=setup.embedder,
        calls=scale.calls,
        ledger=ledger,
        k=arm.k,
        group_size=scale.group_size,
        images_per_step=scale.images_per_step,
        seed=seed,
        annotate=setup.annotator(answerer),
        versions=versions,
        checkpoints=folder / "checkpoints",
        resumed=resumed,
    )
