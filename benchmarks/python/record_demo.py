"""The demo's results of record: three seeds of three settings, as JSON.

    python benchmarks/python/record_demo.py --out docs/results/demo.json

Each case is one `vlmprobe demo` in a process of its own, with one thread; `--jobs 2` runs two at a time. What the
demo has to show is checked at the end and printed, met or not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CASES = {
    "tiny, no faults, paper": ["--answerer", "tiny"],
    "executing, shipped faults, paper": ["--answerer", "executing"],
    "executing, shipped faults, paper-no-diversity": ["--answerer", "executing", "--reward", "paper-no-diversity"],
}


def measure(case: str, seed: int, folder: Path) -> dict:
    """One demo: its summary and the process's peak memory; a demo that failed is a row that says so."""
    run = folder / f"{case} {seed}".replace(" ", "_").replace(",", "")
    command = [sys.executable, "-m", "vlmprobe", "demo", "--seed", str(seed), "--run", str(run), *CASES[case]]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, text=True)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        print(f"{case}, seed {seed}: FAILED\n{said}", flush=True)
        return {"case": case, "seed": seed, "failed": said[-2000:]}
    summary = json.loads((run / "summary.json").read_text())
    print(f"{case}, seed {seed}: {summary['seconds']} s, {usage.ru_maxrss / 1e6:.2f} GB", flush=True)
    return {"case": case, "seed": seed, "peak_gb": round(usage.ru_maxrss / 1e6, 2), **summary}


def claims(results: list[dict]) -> list[dict]:
    """What the issue asks the demo to show, with the figures that decide it."""

    def of(case: str) -> list[dict]:
        return [result for result in results if result["case"] == case]

    tiny, full, plain = map(of, CASES)
    found = []
    for name, runs in (("tiny", tiny), ("executing", full)):
        ratios = [run["after"]["fdr"] / run["before"]["fdr"] for run in runs]
        found.append({"claim": f"{name}: FDR after / before >= 3", "figures": ratios, "met": min(ratios) >= 3})
        valid = [run["after"]["qvr"] for run in runs]
        found.append({"claim": f"{name}: QVR after >= 0.85", "figures": valid, "met": min(valid) >= 0.85})
    gain = [p["after"]["fdr"] - f["after"]["fdr"] for p, f in zip(plain, full, strict=True)]
    found.append({"claim": "no diversity terms: FDR above the full reward's", "figures": gain, "met": min(gain) > 0})
    families = [run["after"]["effective_failure_families"] for run in plain]
    text = "no diversity terms: effective failure families below 2"
    found.append({"claim": text, "figures": families, "met": max(families) < 2})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(arguments.jobs) as pool:
        work = [(case, seed) for case in CASES for seed in arguments.seeds]
        results = list(pool.map(lambda item: measure(*item, Path(folder)), work))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({"results": results}, indent=1) + "\n")  # kept, whatever the claims say
    if any("failed" in result for result in results):
        raise SystemExit("a demo failed; its row says why")
    shown = claims(results)
    arguments.out.write_text(json.dumps({"claims": shown, "results": results}, indent=1) + "\n")
    for claim in shown:
        figures = ", ".join(f"{figure:.2f}" for figure in claim["figures"])
        print(f"{'met    ' if claim['met'] else 'NOT MET'}  {claim['claim']}: {figures}")


if __name__ == "__main__":
    main()
