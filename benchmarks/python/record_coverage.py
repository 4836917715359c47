"""The intervals' results of record: simulated coverage, width and bias of every cell, as JSON.

    python benchmarks/python/record_coverage.py --out docs/results/coverage.json

The runs are those of tests/python/support/simulated.py. What they have to reach is checked at the end and printed, met
or not.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "python"))
from support.simulated import RUNS, difference_cell, judge_cell, rate_cell, sample_cell

RATES, CORRELATIONS, PER_IMAGE = (0.05, 0.1, 0.3, 0.5, 0.7, 0.95), (0.0, 0.1, 0.2, 0.3), (2, 8, 20, None)
DIFFERENCES = (50, 6), (20, 6), (20, 1), (10, 6), (10, 1), (5, 6), (5, 1)  # images, and questions about each


def cells(runs: int) -> list[dict]:
    found = []

    def add(cell: dict) -> None:
        print(json.dumps(cell), flush=True)
        found.append({name: round(value, 5) if isinstance(value, float) else value for name, value in cell.items()})

    for images, per, correlation, rate in product((50, 100), PER_IMAGE, CORRELATIONS, RATES):
        add(rate_cell(rate=rate, correlation=correlation, images=images, per=per, runs=runs))
    for way, correlation in product(("labels", "calibration"), CORRELATIONS):
        add(judge_cell(way=way, correlation=correlation, runs=runs))
    for correlation in CORRELATIONS:
        add(sample_cell(correlation=correlation, runs=runs))
    for (images, per), gap in product(DIFFERENCES, (0.0, 0.1)):
        add(difference_cell(gap=gap, images=images, per=per, runs=runs))
    return found


def claims(found: list[dict]) -> list[dict]:
    """What the intervals have to reach, with the worst figures."""
    of = {what: [cell for cell in found if cell["what"] == what] for what in {cell["what"] for cell in found}}
    corrected = [cell[f"coverage_{name}"] for cell in of["judge noise"] for name in ("qvr", "fdr")]
    bias = [abs(cell[f"bias_{name}"]) for cell in of["known probabilities"] for name in ("qvr", "fdr")]
    lowest = min(cell["coverage"] for cell in of["rate"])
    paired = of["paired difference"]
    differences = [min(cell["coverage"] for cell in paired)]
    false = [max(cell["share_p_below_0.05"] for cell in paired if cell["difference"] == 0)]
    return [
        {"claim": "clustered rates: coverage >= 0.93 in every cell", "figures": [lowest], "met": lowest >= 0.93},
        {
            "claim": "judge noise, 200 labels: coverage 0.93 to 0.97 in every cell",
            "figures": [min(corrected), max(corrected)],
            "met": min(corrected) >= 0.93 and max(corrected) <= 0.97,
        },
        {
            "claim": "known probabilities: |bias| < 0.005 in every cell",
            "figures": [max(bias)],
            "met": max(bias) < 0.005,
        },
        {
            "claim": "paired differences, 5 to 50 images: coverage >= 0.93 in every cell",
            "figures": differences,
            "met": differences[0] >= 0.93,
        },
        {
            "claim": "no difference, 5 to 50 images: p < 0.05 in at most 0.06 of the runs in every cell",
            "figures": false,
            "met": false[0] <= 0.06,
        },
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=RUNS)
    arguments = parser.parse_args()
    found = cells(arguments.runs)
    shown = claims(found)
    lines = ",\n".join(json.dumps(cell) for cell in found)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(f'{{"claims": {json.dumps(shown, indent=1)},\n"cells": [\n{lines}\n]}}\n')
    for claim in shown:
        figures = ", ".join(f"{figure:.4f}" for figure in claim["figures"])
        print(f"{'met    ' if claim['met'] else 'NOT MET'}  {claim['claim']}: {figures}")


if __name__ == "__main__":
    main()
