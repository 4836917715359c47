"""A task of lmms-eval: a YAML file, functions beside it, and the data as Parquet.

An answer is right where it has the words of the right one in their order; the verifier of the run is stricter with what
it says and more lenient with how. Source: https://github.com/EvolvingLMMs-Lab/lmms-eval, its task guide
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from vlmprobe._util.files import write_text
from vlmprobe.exports.formats.table import write_table
from vlmprobe.exports.suite import Suite

DATA = "data/test.parquet"
UTILS = '''
"""What the task beside this file calls; see vlmprobe's docs/suites.md."""

import re


def doc_to_visual(doc):
    return [doc["image"].convert("RGB")]


def doc_to_text(doc, lmms_eval_specific_kwargs=None):
    told = lmms_eval_specific_kwargs or {}
    return f"{told.get('pre_prompt', '')}{doc['question']}{told.get('post_prompt', '')}"


def words(text):
    return " ".join(re.findall(r"[^\\W_]+", text.lower()))


def process_results(doc, results):
    said, right = words(results[0]), words(doc["reference"])
    return {"accuracy": float(f" {right} " in f" {said} ")}
'''


def write(suite: Suite, folder: Path) -> int:
    """Writes the items with a right answer."""
    items = [item for item in suite.items if item.reference is not None]
    write_table(suite, items, folder / DATA)
    write_text(folder / "utils.py", UTILS.lstrip())
    write_text(folder / f"{suite.name}.yaml", _task(suite))
    return len(items)


def _task(suite: Suite) -> str:
    return textwrap.dedent(
        f"""
        # {suite.canary}
        # Run lmms-eval in this folder with --include_path . so that it finds the task and its data.
        task: {suite.name}
        dataset_path: parquet
        dataset_kwargs:
          data_files:
            test: {DATA}
        test_split: test
        output_type: generate_until
        doc_to_visual: !function utils.doc_to_visual
        doc_to_text: !function utils.doc_to_text
        doc_to_target: reference
        process_results: !function utils.process_results
        generation_kwargs:
          max_new_tokens: 64
          temperature: 0
          do_sample: false
        metric_list:
          - metric: accuracy
            aggregation: mean
            higher_is_better: true
        metadata:
          - version: {suite.about["version"]}
        """
    ).lstrip()
