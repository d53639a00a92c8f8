"""Ground truth of the embedded zoo: writes acrank/demo/truth.csv and truth_settings.json.

    python benchmarks/finetuning/embedded_truth.py --work FOLDER

Finetunes all embedded checkpoints on the default target of `acrank demo`, with the command that truth_settings.json
quotes. Takes about 20 minutes on one core; after an interruption it continues where it stopped.
"""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import sys
from pathlib import Path

from acrank.cli import main as acrank
from acrank.demo import make_target, zoo_path

COMMAND = (
    "acrank finetune --zoo model_zoo.yaml --data target --method vanilla --seeds 1 --splits 6 --optimiser adamw "
    "--lr 0.01,0.003,0.001 --epochs 12 --patience 5 --batch-size 16 --device cpu"
)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--work", type=Path, required=True, help="keeps the target and finished runs")
    work: Path = parser.parse_args(words).work
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "target").exists():
        make_target(work / "target")
    given = {"model_zoo.yaml": str(zoo_path()), "target": str(work / "target")}
    arguments = [given.get(word, word) for word in shlex.split(COMMAND)[1:]]
    outputs = ["-o", str(work / "truth.csv"), "-o", str(work / "truth.json")]
    code = acrank([*arguments, *outputs, "--resume"])
    if code == 0:
        publish(work)
    return code


def publish(work: Path) -> None:
    """Copy the table beside the embedded zoo, and write the settings that produced it."""
    record = json.loads((work / "truth.json").read_text())
    failed = [row["model"] for row in record["outcomes"] if row["ground_truth"] is None]
    if failed:
        raise SystemExit(f"not published, these failed: {', '.join(failed)}")
    with (work / "truth.csv").open() as file:
        rows = len(list(csv.DictReader(file)))
    environment = record["environment"]
    about = {
        "command": COMMAND,
        "target": "acrank.demo.make_target, defaults",
        "target_fingerprint": record["target"]["parts"]["all"]["fingerprint"],
        "rows": rows,
        "settings": record["settings"],
        "python": environment["python"],
        "machine": environment["machine"],
        "versions": environment["versions"],
        "summary": record["summary"],
    }
    zoo_path().with_name("truth.csv").write_bytes((work / "truth.csv").read_bytes())
    zoo_path().with_name("truth_settings.json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
