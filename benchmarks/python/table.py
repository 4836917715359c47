"""The lines as a table to read."""

from __future__ import annotations


def table(lines: list[dict]) -> str:
    heads = ("case", "variant", "threads", "ours", "peer", "", "ratio", "(spread)", "MB", "MB", "x limit", "targets")
    rows = [heads] + [cells(found) for found in lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(text.rstrip() for text in padded)


def cells(found: dict) -> tuple[str, ...]:
    name = (f"{found['name']} {found['shape_text']}", found["variant"], str(found["threads"]))
    if "refused" in found:
        return (*name, "", "", "", "", "", "", "", "", f"NOT TIMED: {found['refused']}")
    low, high = found["ratio_spread"]
    return (
        *name,
        duration(found["ours_s"]),
        duration(found["peer_s"]),
        found["peer"],
        f"{found['ratio']:.2f}",
        f"({low:.2f} to {high:.2f})",
        megabytes(found["ours_peak_mb"]),
        megabytes(found["peer_peak_mb"]),
        "" if found["of_limit"] is None else f"{found['of_limit']:.2f}",
        verdict(found),
    )


def verdict(found: dict) -> str:
    missed = [target for target in found["targets"] if not target["met"]]
    if not found["targets"]:
        return ""
    if not missed:
        return "met"
    texts = [f"{target['of']} {bound(target)}, got {target['got']:.3g}" for target in missed]
    near = "; within 1.5x of the limit" if found["at_limit"] else ""
    return "MISSED: " + "; ".join(texts) + near


def bound(target: dict) -> str:
    return f">= {target['at_least']:.3g}" if "at_least" in target else f"<= {target['at_most']:.3g}"


def duration(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds >= 0.1 else f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else micro(seconds)


def micro(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} us"


def megabytes(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"
