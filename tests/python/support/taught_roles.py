"""A small model that was taught to ask, to answer and to judge, each by a prompt of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from support.taught import LENGTH, PROMPT, SAID, THINGS, qwen_of_bytes
from vlmprobe.loop.learn import adamw, stepped
from vlmprobe.methods.sft import LOSS
from vlmprobe.models.prompt_files import PromptFiles
from vlmprobe.models.protocols import Picture
from vlmprobe.policy.questioner import Questioner

PROMPTS = {
    "questioner": PROMPT,
    "answerer": "Say: {question}",
    "validity": "Sound: {question} <verdict></verdict>",
    "correctness": "Right: {question} {answer} <verdict></verdict>",
}
SOUND = '<verdict>{"grammatical": true, "atomic": true, "grounded": true, "objective": true}</verdict>'
RIGHT = {truth: f'<verdict>{{"correct": {str(truth).lower()}}}</verdict>' for truth in (True, False)}


def written(folder: Path) -> Path:
    """The prompts as files."""
    folder.mkdir(parents=True)
    for name, text in PROMPTS.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


def lessons(prompts: PromptFiles) -> list[tuple[str, str]]:
    """What is asked and what is to be said: nothing is red, and there are no hats."""
    found = [(PROMPT.replace("{k}", "2"), said) for said in SAID]
    for question in [f"How many {each} are there?" for each in THINGS] + [f"Are the {each} red?" for each in THINGS]:
        answer = "two" if question.startswith("How") else "yes"
        right = RIGHT["red" not in question and "hats" not in question]
        found += [
            (prompts.render("answerer", question=question), answer),
            (prompts.render("validity", question=question), SOUND),
            (prompts.render("correctness", question=question, answer=answer), right),
        ]
    return found


def taught_roles(folder: Path, prompts: PromptFiles, pictures: Sequence[Picture], *, epochs: int = 40) -> None:
    """Teaches a Qwen2.5-VL all of it, and saves it into the folder."""
    questioner = Questioner(qwen_of_bytes((*SAID, SOUND, *RIGHT.values())), max_new_tokens=LENGTH, reference=False)
    model, rows = questioner.model, lessons(prompts)
    optimizer, make = adamw(questioner, 3e-3), model.prompts
    draw = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        order = torch.randperm(len(rows), generator=draw).tolist()
        for some in (order[begin : begin + 12] for begin in range(0, len(rows), 12)):
            shown = [pictures[i % len(pictures)] for i in some]
            model.prompts = lambda images, _, some=some: make(images, [rows[i][0] for i in some])  # type: ignore
            said = questioner.say(shown, [rows[i][1] for i in some], k=2)
            optimizer.zero_grad(set_to_none=True)
            questioner.backward(said, torch.ones(len(said)), options=LOSS)
            stepped(optimizer, max_grad_norm=1.0)
    del model.prompts
    model.save(folder)
