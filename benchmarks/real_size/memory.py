"""Peak resident memory of a default `acrank score` for sixteen networks of normal size, and whether it fits a limit.

    python benchmarks/real_size/memory.py [--only NAME,…] [--limit 4GB] [--ceiling 20GB] [--score-options "…"]
        [--shared FOLDER] [--against memory.json] [--out memory.json]

One network at a time: its weights are drawn, scored by the real command in a process of its own with an empty cache,
and deleted. Peak memory is the largest resident set of that process, as the kernel counted it, with Python and torch in
it. With --limit every network is scored once more under that limit (`--limit-by as`: address space, as `ulimit -v`; or
`data`: private memory, as `ulimit -d`), and the values of the two rows are compared: equal means the same to the last
bit. --ceiling limits the other run too, so that it cannot take the machine with it. --against compares with an earlier
result, such as one from another machine or from outside of a container with a limit of its own.

The result is written after every network. Exit status 1 where a row is missing or the values differ.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

from children import LIMITS, Limit, Scored, must, run, score, size_of, values_of
from drawn import IMAGES, MASKS, NETWORKS, VOLUMES, network_called

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "performance"))
from made import machine  # noqa: E402 - beside the other scripts on time and memory

#: Where real targets are in the shared folder; volumes are always made up.
REAL = {IMAGES: "data/busi", MASKS: "data/drive"}
#: Relative; sums over threads are not in the same order every time.
ROUNDING = 1e-6
FREE, LIMITED = "free", "limited"


def main() -> int:
    """Measure, print the table and write the JSON."""
    given = arguments()
    result: dict[str, Any] = {**machine(), "settings": described(given), "networks": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        targets = {kind: target(kind, given, folder) for kind in (IMAGES, MASKS, VOLUMES)}
        result["targets"] = {kind: found.name if found else None for kind, found in targets.items()}
        for network in given.only or NETWORKS:
            kind = network_called(network).kind
            data = targets[kind] or made(kind, folder)
            result["networks"][network] = measured(network, data, folder, given=given)
            print(line(network, result["networks"][network]), file=sys.stderr)
            if given.out:
                given.out.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))
    return int(not all(fine(one) for one in result["networks"].values()))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), help=f"of {', '.join(NETWORKS)}, or timm's names")
    parser.add_argument("--limit", type=size_of, help="of a second run, such as 4GB")
    parser.add_argument("--limit-by", choices=list(LIMITS), default="as", help="of --limit and --ceiling")
    parser.add_argument("--ceiling", type=size_of, help="of the first run")
    parser.add_argument("--score-options", type=shlex.split, default=[], help='such as "--samples 32"')
    parser.add_argument("--shared", type=Path, default=HERE.parents[2] / "shared", help="with data/busi, data/drive")
    parser.add_argument("--against", type=lambda path: json.loads(Path(path).read_text()), help="an earlier result")
    parser.add_argument("--out", type=Path, help="JSON, such as memory.json")
    return parser.parse_args()


def described(given: argparse.Namespace) -> dict[str, Any]:
    """The settings, for the record."""
    return {name: getattr(given, name) for name in ("limit", "limit_by", "ceiling", "score_options")}


def target(kind: str, given: argparse.Namespace, folder: Path) -> Path | None:
    """The real target of a kind; None where there is none."""
    path = given.shared / REAL[kind] if kind in REAL else folder / kind
    return path if path.is_dir() else None


def made(kind: str, folder: Path) -> Path:
    """The made-up target of a kind, made once, in a process of its own."""
    path = folder / kind
    if not path.is_dir():
        must(run([str(HERE / "drawn.py"), "data", kind, str(path)], folder))
    return path


def measured(network: str, data: Path, folder: Path, *, given: argparse.Namespace) -> dict[str, Any]:
    """One network: drawn, scored free and under the limit, deleted."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        must(run([str(HERE / "drawn.py"), "network", network, str(place)], place))
        limits = {FREE: given.ceiling, **({LIMITED: given.limit} if given.limit else {})}
        found: dict[str, Any] = {}
        for run_name, size in limits.items():
            limit = Limit(size, given.limit_by) if size else None
            found[run_name] = told(
                score(place / "model_zoo.yaml", data, place, options=given.score_options, limit=limit)
            )
    if LIMITED in found:
        found["limited_to_free"] = difference(found[FREE], found[LIMITED])
    if given.against:
        earlier = given.against["networks"].get(network)
        found["against"] = difference(earlier[FREE], found[FREE]) if earlier else "not in the earlier result"
    return found


def told(scored: Scored) -> dict[str, Any]:
    """What one run came to."""
    ended = scored.ended
    rows = scored.rows
    row = rows[0] if rows else {"status": "none", "reason": ended.how, "scores": {}, "seconds": None}
    return {
        "exit": ended.status,
        "peak_mb": round(ended.peak, 1),
        "wall_seconds": round(ended.seconds, 2),
        "row_seconds": row["seconds"],
        "status": row["status"],
        "reason": row["reason"],
        "draws": scored.draws(row) if rows else None,
        "samples": scored.samples if rows else None,
        "values": values_of(row),
    }


def difference(free: dict[str, Any], other: dict[str, Any]) -> str:
    """`equal`, `equal to 1e-6` where only rounding differs, or in what two runs of one network differ."""
    if "scored" not in (free["status"], other["status"]) or free["status"] != other["status"]:
        return f"{free['status']} / {other['status']}"
    if free["values"] == other["values"]:
        return "equal"
    names = [name for name in {**free["values"], **other["values"]} if differ(name, free, other)]
    return f"differ: {', '.join(names)}" if names else "equal to 1e-6"


def differ(name: str, one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether a score has another value in two runs, but for rounding, or is in one of them alone."""
    both = one["values"].get(name), other["values"].get(name)
    if None in both:
        return both != (None, None) or (name in one["values"]) != (name in other["values"])
    return not math.isclose(*both, rel_tol=ROUNDING)


def fine(found: dict[str, Any]) -> bool:
    """Whether every run gave its row, with equal values."""
    runs = [found[name] for name in (FREE, LIMITED) if name in found]
    compared = [found[name] for name in ("limited_to_free", "against") if name in found]
    return all(one["status"] == "scored" for one in runs) and all(text.startswith("equal") for text in compared)


def line(network: str, found: dict[str, Any]) -> str:
    """A network on one row of the table."""
    free, limited = found[FREE], found.get(LIMITED)
    cells = [network, f"{free['peak_mb']:.0f}", f"{free['wall_seconds']:.1f}", outcome(free)]
    cells += [f"{limited['peak_mb']:.0f}", outcome(limited), found["limited_to_free"]] if limited else ["", "", ""]
    return "| " + " | ".join([*cells, found.get("against", "")]) + " |"


def outcome(one: dict[str, Any]) -> str:
    """Scored, or why not, on one line."""
    text = one["status"] if one["status"] == "scored" else f"{one['status']}: {one['reason']}"
    return " ".join(text.split()).replace("|", "\\|")


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    limit = result["settings"]["limit"]
    under = f"{limit / 1e9:g} GB" if limit else "limit"
    head = ["network", "peak, MB", "wall, s", "row", f"peak under {under}, MB", "row", "values", "against"]
    lines = [f"| {' | '.join(head)} |", "|---|---:|---:|---|---:|---|---|---|"]
    return "\n".join(lines + [line(name, found) for name, found in result["networks"].items()])


if __name__ == "__main__":
    sys.exit(main())
