"""What a default `acrank score` costs on networks of normal size, as ratios to finetuning and to bare passes.

    python benchmarks/real_size/cost.py [--only NAME,…] [--runs 3] [--out cost.json] [--score-options "…"]
    python benchmarks/real_size/cost.py --zoo benchmarks/real_size/work/model_zoo.yaml [--only ID,…] …

Drawn networks (drawn.py; any name of timm), or the candidates of a manifest such as that of weights.py. In every run
each network is scored by the real command, in a process of its own with an empty cache, and its bare passes and
finetuning steps are timed by passes.py in another; every other run goes in reverse order. Drawn networks are scored as
--candidates checkpoints of different seeds in one command, since acrank may treat a contest otherwise than a single
candidate; the candidates of a manifest in one command as well, and with --together all of the drawn ones.

- run: `seconds` of the row, mean over a network's checkpoints; wall: of the command, its start included, divided by its
  candidates;
- bare: one forward and backward pass over as many images as a draw has, to the affine parameters (strict) or to all;
- epoch: finetuning on 390 images, measured on --steps steps of --batch images and scaled; full finetuning is three
  learning rates of 20 such epochs. Decoding images is in the first figure only, so the ratios err against acrank.

Ratios are taken within a run; printed are medians over the runs. --malloc reuse gives the bare side an allocator that
keeps its pages (glibc's MALLOC_ variables); without it, it runs as any script does. Needs data/busi in --shared, or
--data; otherwise images are made up.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from children import Limit, Scored, must, one_manifest, run, score, size_of
from drawn import IMAGES

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "performance"))
from made import machine  # noqa: E402 - beside the other scripts on time and memory

NETWORKS = ("resnet18", "resnet50", "mobilenetv2_100", "tf_efficientnet_lite0", "vit_small_patch16_224")
EPOCH_IMAGES = 390
FULL_EPOCHS = 3 * 20  # three learning rates
REUSE = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**36), "MALLOC_TOP_PAD_": str(2**26)}
RATIOS = {
    "run_to_epoch": "run / epoch",
    "wall_to_epoch": "wall / epoch",
    "draw_to_bare_affine": "run per draw / bare pass to the affines",
    "draw_to_bare_full": "run per draw / bare pass to all",
    "full_finetuning_to_run": "full finetuning / run",
}


@dataclass
class Command:
    """Candidates that one command scores.

    Attributes:
        manifest: of them.
        networks: name of a network -> ids of its checkpoints.
        samples: images of a draw, known once it was scored.
    """

    manifest: Path
    networks: dict[str, list[str]]
    samples: int = 0

    @property
    def ids(self) -> list[str]:
        """Of all candidates."""
        return [name for ids in self.networks.values() for name in ids]


@dataclass
class Measured:
    """What the runs of one network came to: a dictionary of figures per run, and what went wrong."""

    runs: list[dict[str, float]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def main() -> int:
    """Measure, print the table and write the JSON. Exit status 1 where a network could not be measured."""
    given = arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = target(given, folder)
        commands = of_manifest(given) if given.zoo else [drawn(name, folder, given) for name in given.only or NETWORKS]
        if given.together:
            commands = [together(commands, folder)]
        found = {name: Measured() for command in commands for name in command.networks}
        result: dict[str, Any] = {}
        for number in range(given.runs):
            for command in commands if number % 2 == 0 else commands[::-1]:
                one_run(command, found, number=number, data=data, folder=folder, given=given)
            result = {**machine(), "data": data.name, "settings": described(given), "networks": summary(found)}
            if given.out:
                given.out.write_text(json.dumps(result, indent=1) + "\n")
                given.out.with_suffix(".md").write_text(table(result) + "\n")
    print(table(result))
    return int(any(one.problems for one in found.values()))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), help=f"timm's names, {','.join(NETWORKS)}; or ids")
    parser.add_argument("--zoo", type=Path, help="a manifest in place of drawn networks")
    parser.add_argument("--candidates", type=int, default=2, help="checkpoints of each drawn network (2)")
    parser.add_argument("--together", action="store_true", help="score all drawn networks in one command")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32, help="of finetuning, and most images of a bare pass at a time")
    parser.add_argument("--steps", type=int, default=3, help="of finetuning, as part of an epoch")
    parser.add_argument("--malloc", choices=["plain", "reuse"], default="plain", help="of the bare side")
    parser.add_argument("--threads", type=int, help="of torch, on both sides")
    parser.add_argument("--ceiling", type=size_of, help="limit on the address space of every process, such as 20GB")
    parser.add_argument("--score-options", type=shlex.split, default=[], help='such as "--samples 32"')
    parser.add_argument("--data", type=Path, help="images with one class each; default: data/busi in --shared")
    parser.add_argument("--shared", type=Path, default=HERE.parents[2] / "shared")
    parser.add_argument("--out", type=Path, help="JSON, such as cost.json; the table goes beside it as .md")
    return parser.parse_args()


def described(given: argparse.Namespace) -> dict[str, Any]:
    """The settings, for the record."""
    names = (
        "only",
        "candidates",
        "together",
        "runs",
        "batch",
        "steps",
        "malloc",
        "threads",
        "ceiling",
        "score_options",
    )
    return {"zoo": given.zoo.name if given.zoo else None, **{name: getattr(given, name) for name in names}}


def target(given: argparse.Namespace, folder: Path) -> Path:
    """The images: given, BUSI, or made up in a process of their own."""
    path = given.data or given.shared / "data" / "busi"
    if given.data or path.is_dir():
        return path
    made = folder / "made-up"
    must(run([str(HERE / "drawn.py"), "data", IMAGES, str(made)], folder))
    return made


def drawn(network: str, folder: Path, given: argparse.Namespace) -> Command:
    """The command of a drawn network."""
    place = folder / network
    must(run([str(HERE / "drawn.py"), "network", network, str(place), str(given.candidates)], folder))
    return Command(place / "model_zoo.yaml", {network: [f"{network}-{seed}" for seed in range(given.candidates)]})


def together(commands: Sequence[Command], folder: Path) -> Command:
    """One command for the candidates of several."""
    path = one_manifest([command.manifest for command in commands], folder / "model_zoo.yaml")
    return Command(path, {name: ids for command in commands for name, ids in command.networks.items()})


def of_manifest(given: argparse.Namespace) -> list[Command]:
    """The one command of a manifest's candidates."""
    from acrank.zoo import load_zoo  # light: loads no torch

    zoo = load_zoo(given.zoo).select(given.only) if given.only else load_zoo(given.zoo)
    return [Command(given.zoo, {candidate.id: [candidate.id] for candidate in zoo.candidates})]


def one_run(
    command: Command, found: dict[str, Measured], *, number: int, data: Path, folder: Path, given: argparse.Namespace
) -> None:
    """Score the candidates and time their bare passes, in this order or, every other run, in the other."""
    limit = Limit(given.ceiling) if given.ceiling else None
    environment = (
        {"OMP_NUM_THREADS": str(given.threads), "MKL_NUM_THREADS": str(given.threads)} if given.threads else {}
    )
    options = ["--model", ",".join(command.ids), *given.score_options]
    passes: dict[str, dict[str, float] | str] = {}

    def scoring() -> Scored:
        return score(command.manifest, data, folder, options=options, limit=limit, environment=environment)

    def passing() -> None:
        more = {**environment, **(REUSE if given.malloc == "reuse" else {})}
        for name, ids in command.networks.items():
            words = [str(HERE / "passes.py"), str(command.manifest), ids[0], "--images", str(command.samples)]
            words += ["--batch", str(given.batch), "--steps", str(given.steps)]
            words += ["--allow-code"] if "--allow-code" in given.score_options else []
            ended = run(words, folder, limit=limit, environment=more)
            passes[name] = ended.how if ended.status else json.loads(ended.output)

    if number % 2 and command.samples:
        passing()
        scored = scoring()
    else:
        scored = scoring()
        if scored.record:
            command.samples = scored.samples
            passing()
    for name, ids in command.networks.items():
        note(found[name], scored, passes.get(name, "not timed"), ids=ids, number=number)
        print(f"run {number + 1}, {name}: {found[name].problems[-1:] or found[name].runs[-1]}", file=sys.stderr)


def note(
    measured: Measured, scored: Scored, passes: dict[str, float] | str, *, ids: Sequence[str], number: int
) -> None:
    """Add one run of one network, or what went wrong in it."""
    rows = [row for row in scored.rows if row["model"] in ids]
    failed = [f"{row['model']} {row['status']}: {row['reason']}" for row in rows if row["status"] != "scored"]
    if len(rows) < len(ids):
        failed.append(f"{len(ids) - len(rows)} rows missing: {scored.ended.how}")
    if isinstance(passes, str):
        failed.append(f"bare passes: {passes}")
    if failed or isinstance(passes, str):
        measured.problems += [f"run {number + 1}: {text}" for text in failed]
        return
    seconds = statistics.mean(row["seconds"] for row in rows)
    draws = statistics.mean(scored.draws(row) for row in rows)
    epoch = passes["steps"] / passes["step_images"] * EPOCH_IMAGES
    wall = scored.ended.seconds / len(scored.rows)
    measured.runs.append(
        {
            "run_seconds": seconds,
            "first_seconds": next(row["seconds"] for row in rows if row["model"] == ids[0]),
            "wall_seconds": wall,
            "draws": draws,
            "samples": scored.samples,
            "peak_mb": scored.ended.peak,
            "bare_affine_seconds": passes["bare_affine"],
            "bare_full_seconds": passes["bare_full"],
            "epoch_seconds": epoch,
            "threads": passes["threads"],
            "run_to_epoch": seconds / epoch,
            "wall_to_epoch": wall / epoch,
            "draw_to_bare_affine": seconds / draws / passes["bare_affine"],
            "draw_to_bare_full": seconds / draws / passes["bare_full"],
            "full_finetuning_to_run": FULL_EPOCHS * epoch / seconds,
        }
    )


def summary(found: dict[str, Measured]) -> dict[str, Any]:
    """Medians over the runs, the runs themselves, and problems."""
    return {
        name: {
            "runs": len(one.runs),
            "medians": {key: statistics.median(figures[key] for figures in one.runs) for key in (one.runs or [{}])[0]},
            "each": one.runs,
            "problems": one.problems,
        }
        for name, one in found.items()
    }


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    seconds = ("run_seconds", "wall_seconds", "bare_affine_seconds", "bare_full_seconds", "epoch_seconds")
    heads = ["network", "runs", "draws × images", "run, s", "wall, s", "bare, s", "bare to all, s", "epoch, s"]
    heads += [*RATIOS.values(), "peak of the command, MB"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" + "---:|" * (len(heads) - 1)]
    for name, one in result["networks"].items():
        cells = [name, str(one["runs"])]
        if one["runs"]:
            medians = one["medians"]
            cells.append(f"{medians['draws']:g} × {medians['samples']:g}")
            cells += [f"{medians[key]:.2f}" for key in seconds]
            cells += [f"{medians[key]:.3g}" for key in RATIOS]
            cells.append(f"{medians['peak_mb']:.0f}")
        lines.append("| " + " | ".join(cells) + " |")
    problems = [f"- {name}: {text}" for name, one in result["networks"].items() for text in one["problems"]]
    return "\n".join([*lines, *(["", *problems] if problems else [])])


if __name__ == "__main__":
    sys.exit(main())
