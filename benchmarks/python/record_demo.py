"""The demo's results of record: three seeds of two settings, as JSON.

    python benchmarks/python/record_demo.py --out docs/results/demo.json

Each case is one `vlmprobe demo` in a process of its own; `--jobs 2` runs two at a time. What the demo has to show is
checked at the end and printed, met or not.
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

PLANTED = "executing, shipped faults"
CASES = {
    PLANTED: ["--answerer", "executing"],
    "tiny, no faults": ["--answerer", "tiny"],
}
LEFT_OUT = ("hints", "report")  # of the summary: long, or of no use elsewhere


def measure(case: str, seed: int, folder: Path) -> dict:
    """One demo: its summary and the process's peak memory; a demo that failed is a row that says so."""
    run = folder / f"{case} {seed}".replace(" ", "_").replace(",", "")
    command = [sys.executable, "-m", "vlmprobe", "demo", "--seed", str(seed), "--run", str(run), *CASES[case]]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        print(f"{case}, seed {seed}: FAILED\n{said}", flush=True)
        return {"case": case, "seed": seed, "failed": said[-2000:]}
    summary = json.loads((run / "summary.json").read_text())
    found = ", ".join(f"{name} {arm['detected_10']}" for name, arm in summary["arms"].items())
    print(f"{case}, seed {seed}: {found}; {summary['seconds']} s, {usage.ru_maxrss / 1e6:.2f} GB", flush=True)
    kept = {key: value for key, value in summary.items() if key not in LEFT_OUT}
    spent = {"peak_gb": round(usage.ru_maxrss / 1e6, 2), "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1)}
    return {"case": case, "seed": seed, **spent, **kept}


def claims(results: list[dict]) -> list[dict]:
    """What the demo has to show, with the figures that decide it, one for each seed."""
    runs = [result["arms"] for result in results if result["case"] == PLANTED]
    found = []
    for arm in ("zero-shot", "paper"):
        more = [run["default"]["detected_10"] - run[arm]["detected_10"] for run in runs]
        text = f"at equal answerer calls the default detects more faults than {arm}"
        found.append({"claim": text, "figures": more, "met": min(more) > 0})
    calls = [len({arm["answerer_calls"] for arm in result["arms"].values()}) for result in results]
    found.append({"claim": "all arms made equally many calls", "figures": calls, "met": max(calls) == 1})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1)
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
        figures = ", ".join(map(str, claim["figures"]))
        print(f"{'met    ' if claim['met'] else 'NOT MET'}  {claim['claim']}: {figures}")


if __name__ == "__main__":
    main()
