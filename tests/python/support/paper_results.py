"""Results as `vlmprobe reproduce` computes them, made up, for the tests of what people read."""

import base64
import io
import math

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw

METHODS = ("Zero-shot", "SFT", "Expert Iteration", "ConMe", "RL", "RL+SFT", "Random valid", "Template sweep")
FDR = dict(zip(METHODS, (0.112, 0.164, 0.221, 0.148, 0.342, 0.371, 0.083, 0.127), strict=True))


def estimate(value, half=0.02, n=512):
    return {"value": value, "low": value - half, "high": value + half, "n": n}


TABLE_1 = {
    "Zero-shot": (83.73, 32.20, 56.27, 0.30, 87, 3.06),
    "SFT": (83.86, 37.02, 43.80, 0.23, 89, 3.13),
    "Expert Iteration": (88.37, 38.36, 53.42, 0.19, 94, 3.10),
    "ConMe": (76.63, 39.89, 61.78, 0.30, 93, 3.15),
    "RL": (83.44, 47.58, 64.96, 0.53, 131, 3.30),
    "RL+SFT": (86.70, 50.73, 85.41, 0.57, 122, 3.27),
}
KEYS = ("qvr", "fdr", "vendi", "ld", "skills", "coverage")
COLUMNS = [
    {"key": "qvr", "title": "QVR %", "percent": True, "digits": 1},
    {"key": "fdr", "title": "FDR %", "percent": True, "digits": 1},
    {"key": "vendi", "title": "SD", "percent": False, "digits": 1},
    {"key": "ld", "title": "LD", "percent": False, "digits": 2},
    {"key": "ld_nats", "title": "LD, nats", "percent": False, "digits": 2},
    {"key": "skills", "title": "skills", "percent": False, "digits": 0},
    {"key": "coverage", "title": "skill cov.", "percent": False, "digits": 2},
]


def ours(fdr, *, qvr=0.834, n=1024):
    valid = round(n * qvr)
    return {
        "qvr": estimate(qvr, 0.024, n),
        "fdr": estimate(fdr, 0.031, valid),
        "vendi": estimate(40 * (0.5 + fdr), 2.2, 300),
        "ld": estimate(0.62 - 0.6 * fdr, 0.04, 300),
        "ld_nats": estimate(3.4 - 2 * fdr, 0.1, 300),
        "skills": {"value": round(30 + 90 * fdr), "low": None, "high": None, "n": 800 if fdr > 0.1 else 700},
        "coverage": estimate(2.1 + fdr, 0.11, valid),
    }


def table_1():
    rows = [
        {"labels": [name], "ours": ours(fdr), "paper": dict(zip(KEYS, TABLE_1.get(name, ()), strict=False))}
        for name, fdr in FDR.items()
    ]
    notes = ["Evaluation pass: the same 512 images, two questions each, temperature 1, the questioner frozen."]
    return {
        "id": "table-1",
        "title": "Table 1: methods",
        "labels": ["method"],
        "columns": COLUMNS,
        "rows": rows,
        "notes": notes,
    }


def table_2():
    terms = (("yes", "yes", "no"), ("no", "no", "yes"), ("yes", "no", "yes"), ("yes", "yes", "yes"))
    paper = (
        (75.82, 47.47, 63.25, 0.56, 118),
        (89.67, 66.70, 59.29, 0.16, 105),
        (87.18, 56.54, 68.48, 0.19, 118),
        (83.44, 47.58, 64.96, 0.53, 131),
    )
    rows = [
        {"labels": list(term), "ours": ours(0.3 + 0.04 * i), "paper": dict(zip(KEYS, numbers, strict=False))}
        for i, (term, numbers) in enumerate(zip(terms, paper, strict=True))
    ]
    labels = ["semantic", "lexical", "penalty"]
    return {
        "id": "table-2",
        "title": "Table 2: reward terms",
        "labels": labels,
        "columns": COLUMNS[:6],
        "rows": rows,
        "notes": [],
    }


def table_faults():
    columns = [{"key": "detected", "title": "faults detected", "percent": False, "digits": 0}]
    rows = [
        {"labels": [name], "ours": {"detected": {"value": i, "low": None, "high": None, "n": 5}}, "paper": {}}
        for i, name in enumerate(("Zero-shot", "RL"))
    ]
    return {
        "id": "faults",
        "title": "Planted faults",
        "labels": ["method"],
        "columns": columns,
        "rows": rows,
        "notes": [],
    }


def scene():
    image = PILImage.new("RGB", (64, 64), (224, 221, 214))
    pen = ImageDraw.Draw(image)
    pen.ellipse((6, 8, 22, 24), fill="#c0392b")
    pen.rectangle((34, 10, 54, 30), fill="#2e86c1")
    pen.polygon([(12, 56), (22, 38), (32, 56)], fill="#239b56")
    pen.ellipse((44, 44, 54, 54), fill="#8e44ad")
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def question(text, valid, correct, answer, truth):
    return {"text": text, "valid": valid, "correct": correct, "answer": answer, "truth": truth}


def stages():
    return [
        {
            "step": 0,
            "questions": [
                question("what color is the large square", True, True, "blue", "blue"),
                question("how many the circles red is", False, None, None, None),
            ],
        },
        {
            "step": 60,
            "questions": [
                question("is the red circle left of the large blue square", True, False, "no", "yes"),
                question("how many purple shapes are there", True, True, "1", "1"),
            ],
        },
        {
            "step": 150,
            "questions": [
                question(
                    "what is the number of shapes that are neither red nor larger than the green triangle, and that "
                    "stand to the right of at least one round shape",
                    True,
                    False,
                    "three",
                    "two",
                ),
                question("is there a shape that is not striped", None, None, "yes", None),
            ],
        },
    ]


def skills(windows=10):
    kinds = {
        "early": ["count x color", "count x shape", "color naming"],
        "late": ["negation", "same texture", "relation x negation", "comparison of sizes"],
    }
    kinds["persistent"] = ["texture", "left of", "size"]
    kinds["undecided"] = [f"pair of families {i}" for i in range(14)]
    made = []
    for kind, names in kinds.items():
        for i, name in enumerate(names):
            slope = {"early": -1, "late": 1}.get(kind, 0)
            wave = [0.06 + 0.05 * slope * math.tanh((w - 4.5) / 2) + 0.01 * math.sin(3 * w + i) for w in range(windows)]
            made.append(
                {
                    "skill": name,
                    "kind": kind,
                    "densities": [None if w == 3 and i == 1 else max(0.0, d) for w, d in enumerate(wave)],
                    "q": 0.0004 * 3**i if slope else min(1, 0.2 + 0.05 * i),
                    "n": 340 - 7 * i,
                }
            )
    return made


def figures():
    draw = np.random.default_rng(4)
    curve = []
    for i, (name, fdr) in enumerate(list(FDR.items())[:8]):
        gain = 0.12 if name in ("RL", "RL+SFT") else 0.05 if name == "Expert Iteration" else 0.0
        asked = [240 * (k + 1) for k in range(20)]
        values = [fdr - gain * math.exp(-k / 6) + draw.normal(0, 0.02 / math.sqrt(k + 1)) for k in range(20)]
        points = [
            {"asked": a, "value": v, "low": v - 0.6 / math.sqrt(a), "high": v + 0.6 / math.sqrt(a)}
            for a, v in zip(asked, values, strict=True)
        ]
        rise = {
            "value": gain * 0.6,
            "low": gain * 0.6 - 0.02,
            "high": gain * 0.6 + 0.02,
            "p": 0.0002 if gain else 0.41 + 0.05 * i,
        }
        curve.append({"name": name, "points": points, "rise": rise})
    published = {"RL": {"skills": 131, "exclusive": 36}, "SFT": {"skills": 89, "exclusive": 17}}
    return {
        "figure-4": {
            "methods": [
                {
                    "name": name,
                    "skills": round(30 + 90 * fdr),
                    "shared": 24,
                    "exclusive": max(0, round(18 * fdr) - 1),
                    "paper": published.get(name, {}),
                }
                for name, fdr in FDR.items()
            ]
        },
        "figure-5a": {
            "methods": [{"name": name, "combinations": estimate(120 + 400 * fdr, 14, 800)} for name, fdr in FDR.items()]
        },
        "figure-5b": {
            "methods": [
                {
                    "name": name,
                    "shares": [
                        estimate(0.35 - 0.5 * fdr),
                        estimate(0.33),
                        estimate(0.2 + 0.2 * fdr),
                        estimate(0.12 + 0.3 * fdr),
                    ],
                }
                for name, fdr in FDR.items()
            ]
        },
        "figure-6": {
            "method": "RL",
            "steps": [0, 150],
            "skills": skills(),
            "counts": {"early": 3, "late": 4, "persistent": 3, "undecided": 14},
        },
        "figure-7": {"method": "RL", "image": "scene-11-7", "png": scene(), "stages": stages()},
        "curve": {"methods": curve},
    }


def small_figures():
    """The figures with two methods, skills and stages: quick to draw."""
    made = figures()
    for id in ("figure-4", "figure-5a", "figure-5b", "curve"):
        made[id]["methods"] = made[id]["methods"][:2]
    made["figure-6"]["skills"] = made["figure-6"]["skills"][:2]
    made["figure-7"]["stages"] = made["figure-7"]["stages"][:2]
    return made


def sensitivity():
    def pair(a, b, first, second, flips):
        difference = {"verifier": {"value": first, "low": first - 0.03, "high": first + 0.03, "p": 0.02}}
        difference["evaluator"] = {"value": second, "low": second - 0.03, "high": second + 0.03, "p": 0.0004}
        return {"methods": [a, b], "differences": difference, "flips": flips}

    return {
        "judges": ["verifier", "evaluator"],
        "rates": [
            {"method": name, "judge": judge, "qvr": estimate(0.83 - shift), "fdr": estimate(FDR[name] - shift, n=430)}
            for name in ("RL", "SFT", "ConMe")
            for judge, shift in (("verifier", 0.0), ("evaluator", 0.03))
        ],
        "ranking": {"verifier": ["RL", "SFT", "ConMe"], "evaluator": ["RL", "ConMe", "SFT"]},
        "pairs": [
            pair("RL", "SFT", 0.18, 0.15, None),
            pair("SFT", "ConMe", 0.016, -0.021, "order"),
            pair("RL", "ConMe", 0.19, 0.02, "significance"),
        ],
        "skills": [
            {
                "method": "RL",
                "skill": "count x color",
                "hard": {"verifier": True, "evaluator": False},
                "rates": {"verifier": estimate(0.61, n=41), "evaluator": estimate(0.43, n=39)},
            }
        ],
        "n_skills": 57,
        "n_skills_left_out": 4,
        "rewards": {
            "names": ["paper", "no diversity"],
            "means": [
                {"method": name, "reward": reward, **estimate(0.2 + 0.3 * FDR[name] + shift, 0.01)}
                for name in ("RL", "SFT", "ConMe")
                for reward, shift in (("paper", 0.0), ("no diversity", 0.1))
            ],
            "pairs": [{"methods": ["RL", "SFT"], "differences": {}, "flips": None}],
            "ranking": {"paper": ["RL", "SFT", "ConMe"], "no diversity": ["RL", "SFT", "ConMe"]},
        },
        "agreement": [
            {"method": name, "what": what, "share": estimate(0.91), "kappa": estimate(0.74)}
            for name in ("RL", "SFT")
            for what in ("validity", "correctness")
        ],
    }


def claims():
    def claim(id, text, where, paper, found, verdict):
        return {"id": id, "claim": text, "where": where, "paper": paper, "ours": found, "verdict": verdict}

    return [
        claim(
            "no-penalty",
            "No penalty: QVR falls",
            "table 2",
            "75.82 against 83.44",
            "71.0 [68.1, 73.9] against 83.4 [81.0, 85.8]; difference −12.4 [−15.9, −8.8]",
            "holds",
        ),
        claim(
            "lexical",
            "No lexical term: LD collapses and FDR rises",
            "table 2",
            "0.19 against 0.53; 56.54 against 47.58",
            "0.41 [0.37, 0.45] against 0.42 [0.38, 0.46]",
            "does not hold",
        ),
        claim(
            "universal",
            "The 7B questioner raises FDR on the 8B answerer",
            "table 5",
            "38.97 against 29.37",
            "31.1 [28.0, 34.3] against 30.2 [27.1, 33.5]; difference 0.9 [−2.4, 4.2]",
            "undecided",
        ),
    ]


def results():
    return {
        "title": "The paper on the embedded world",
        "settings": {
            "scale": "small",
            "steps": 150,
            "images": 512,
            "questions per image": [1, 2, 4],
            "resumed": False,
            "learning rate": 1e-05,
        },
        "seeds": [7],
        "notes": ["Figures of the training pool are kept apart from the evaluation pass."],
        "versions": {"vlmprobe": "0.1.0", "torch": "2.13.0"},
        "world": True,
        "tables": [table_1(), table_2(), table_faults()],
        "figures": figures(),
        "claims": claims(),
        "sensitivity": sensitivity(),
    }
