"""Cost of a score relative to finetuning: seconds per candidate of each score, of one epoch and of a full finetuning.

    python benchmarks/transferability/cost.py [--images 1000] [--json FILE] [NETWORK...]

Networks of several sizes, on one core, with random weights (which take as long as others): timm's test_resnet,
resnet10t and resnet18 at 64 px, on a procedural target of --images images, half of which train. Scores with
their default settings (three draws of 128 images), `acrank score` with its defaults the best of three times;
finetuning with its own (three learning rates, at most 20 epochs, early stopping). Networks that the JSON file
holds already are kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "performance"))

from made import machine, make_zoo

from acrank.demo import make_target
from acrank.finetuning import FinetuneSettings, finetune
from acrank.ranking.candidates import begin_worker, score_candidate
from acrank.scores import SCORES
from acrank.settings import Settings
from acrank.targets import open_target
from acrank.targets.draws import make_draws
from acrank.zoo import load_zoo

NETWORKS = ("test_resnet", "resnet10t", "resnet18")
OFTEN = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", default=NETWORKS, help="of timm")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    begin_worker("cpu")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_target(folder / "target", n=given.images)
        found = {network: measured(network, folder) for network in given.networks}
    if given.json:
        known = json.loads(given.json.read_text())["seconds"] if given.json.exists() else {}
        found = {**known, **found}
        given.json.write_text(json.dumps({**machine(), "images": given.images, "seconds": found}, indent=1) + "\n")
    print(table(found))


def measured(network: str, folder: Path) -> dict[str, Any]:
    """Seconds of one candidate."""
    zoo = load_zoo(make_zoo(folder / network, network, files=1, candidates=1, size=64))
    target = open_target(folder / "target")
    draws = make_draws(target, samples=128, repeats=3, seed=0)
    seconds: dict[str, Any] = {"params": 0}

    def score(names: list[str]) -> float:
        row = score_candidate(
            zoo.candidates[0], draws, Settings(scores=names, device="cpu").for_task("classification"), None
        )
        seconds["params"] = row.params
        return row.seconds or 0.0

    score([])  # images decoded, libraries loaded
    seconds["acrank score"] = min(score([]) for _ in range(OFTEN))
    for name in SCORES:
        if "classification" in SCORES[name].tasks:
            seconds[name] = score([name])
    for what, settings in (
        ("one epoch", FinetuneSettings(epochs=1, lrs=[0.01], test_share=0.3, device="cpu")),
        ("finetuning", FinetuneSettings(test_share=0.3, device="cpu")),
    ):
        started = time.perf_counter()
        outcome = finetune(
            zoo, folder / "target", ["vanilla"], settings, work_dir=folder / f"{network} {what}"
        ).outcomes[0]
        seconds[what] = time.perf_counter() - started
        seconds[f"epochs of {what}"] = sum(trial["epochs"] for trial in outcome.trials)
    print(network, seconds, file=sys.stderr, flush=True)
    return seconds


def table(found: dict[str, dict[str, Any]]) -> str:
    """Markdown: a row per score and for finetuning, with its cost relative to the default score's."""
    names = dict.fromkeys(name for values in found.values() for name in values)
    names = [name for name in names if name != "params" and not name.startswith("epochs")]
    heads = [f"{network}, {values['params'] / 1e6:.1f} M" for network, values in found.items()]
    lines = [f"| seconds per candidate | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for name in names:
        cells = [
            f"{values[name]:.2f} ({values[name] / values['acrank score']:.2g}x)" if name in values else ""
            for values in found.values()
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
