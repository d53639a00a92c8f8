"""What parts, the drift on bundled images, racing and the step's images bring to the default ranking, on choosing data.

    python benchmarks/transferability/recomputed.py [--shared FOLDER] [--work FOLDER] [--kinds real,embedded,own]

By the package itself, on the draws of scores.py, for the targets of the choosing half: each of three draws alone, all
three, and as many as racing gives. Columns besides those of 0.2 (from results.csv: whole draws, drift on the target,
three draws): parts as they are now, whole draws, and the step on fewer or more images. Writes recomputed.csv beside
this file, a row per target and candidate, and prints the weighted tau of each column by target. Observations are kept
in the work folder, so a run goes on where it was stopped. The study's own checkpoints are trained again where they are
missing, so they are not bit for bit those that were finetuned: `--kinds real,embedded` leaves them out.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import torch
from candidates import KINDS, family, zoo
from observe import draws_of
from study import truths
from targets import STUDIES
from truth import HERE, WORK, suits, target_of

from acrank.cache import ObservationCache
from acrank.comparison.statistics import weighted_tau
from acrank.observation import draw_passes, part_size
from acrank.ranking.candidates import score_candidate
from acrank.ranking.racing import Race
from acrank.ranking.values import value_of
from acrank.records import Details, Row
from acrank.scores.evaluate import Evaluation
from acrank.settings import Settings
from acrank.targets.draws import Draw
from acrank.zoo import Candidate

OUT = HERE / "recomputed.csv"
DRAWS = 3
OF_THE_STEP = ("ac_corr", "channel_alignment", "affine_drift", "gradient_norm")
STEPS = (16, 32, None)
BASE = Settings(allow_code=True, device="cpu")


def parser_of(about: str | None) -> argparse.ArgumentParser:
    """The command line of what is done again for the candidates of the study: where the data and what is made are."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=HERE.parents[2] / "shared")
    parser.add_argument("--work", type=Path, default=WORK)
    return parser


def finetuned_ones(words: list[str], about: str | None) -> tuple[Path, Path, list[Candidate]]:
    """Data and work folder from the command line, and the candidates that are bit for bit those of the ground truth."""
    options = parser_of(about).parse_args(words)
    torch.set_num_threads(1)
    data = options.shared / "data"
    return data, options.work, [one for kind in ("real", "embedded") for one in zoo(kind, data).candidates]


def main(words: list[str]) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--kinds", default=",".join(KINDS))
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    data = options.shared / "data"
    candidates = [one for kind in options.kinds.split(",") for one in zoo(kind, data).candidates]
    known = pd.read_csv(HERE / "results.csv").set_index(["dataset", "model"])
    tables = []
    for name, study in STUDIES.items():
        if study.half != "choosing":
            continue
        target = target_of(name, data, options.work)
        cache = ObservationCache(options.work / "recomputed")
        chosen = [one for one in candidates if suits(one, study)]
        table = columns(chosen, draws_of(study, target, DRAWS), BASE.for_task(target.task), cache)
        mean = truths()[name].mean
        table = table[table.index.isin(mean.index)]
        table.insert(0, "dataset", name)
        table.insert(1, "family", [family(one) for one in chosen if one.id in table.index])
        table.insert(2, "ground_truth", mean[table.index])
        old = known.loc[name].reindex(table.index)
        for score in ("default", *OF_THE_STEP):
            table.insert(3, f"0.2 {score}", old[score])
        tables.append(table.rename_axis("model").reset_index())
        pd.concat(tables).to_csv(OUT, index=False, float_format="%.6g")
        print(name, file=sys.stderr, flush=True)
    print(taus(pd.concat(tables)).to_string(float_format=lambda x: f"{x:.3f}"))


def columns(chosen: list[Candidate], draws: list[Draw], settings: Settings, cache: ObservationCache) -> pd.DataFrame:
    """A row per candidate: the ranking score under each variant, and the scores of the step."""
    found: dict[str, dict[str, float | None]] = {}
    ranking = settings.rank_by
    by_draw = [rows_of(chosen, [draw], settings, cache) for draw in draws]
    found |= {f"draw {place}": values(rows, ranking) for place, rows in enumerate(by_draw)}
    found["three draws"] = values(rows_of(chosen, draws, settings, cache), ranking)
    each = pd.DataFrame({place: found[f"draw {place}"] for place in range(len(draws))})
    known = {
        place: {row.model: row.details.deviations.get(ranking, [None])[0] for row in rows}
        for place, rows in enumerate(by_draw)
    }
    found["racing"], found["racing draws"] = raced(each, pd.DataFrame(known), settings)
    with whole_draws():
        found["whole draw 0"] = values(rows_of(chosen, draws[:1], settings, None), ranking)
    for step in STEPS:
        few = dataclasses.replace(settings, step_samples=step) if step else all_of(settings)
        rows = rows_of(chosen, draws[:1], few, cache if step == settings.step_samples else None)
        for score in OF_THE_STEP:
            found[f"{score} of {step or 'all'}"] = values(rows, score)
    return pd.DataFrame(found)


def raced(each: pd.DataFrame, deviations: pd.DataFrame, settings: Settings) -> tuple[dict[str, float], dict[str, int]]:
    """The ranking score after a race, and the number of draws, from its values in each draw.

    Args:
        each: a row per candidate, a column per draw; larger is better.
        deviations: alike, as estimated from the images of each draw.
        settings: of the run.
    """
    counts, race = dict.fromkeys(each.index, 1), Race(settings, candidates=len(each))
    for _ in range(1, each.shape[1]):
        counts |= race.next_round(rows_of_values(each, deviations, counts, settings.rank_by))
    return {model: each.loc[model][:count].mean() for model, count in counts.items()}, counts


def rows_of_values(each: pd.DataFrame, deviations: pd.DataFrame, counts: dict[str, int], score: str) -> list[Row]:
    """Rows of one score with the values of their first draws."""
    return [
        row_of_values(model, each.loc[model][:count], deviations.loc[model][:count], score)
        for model, count in counts.items()
    ]


def row_of_values(model: str, each: pd.Series, deviations: pd.Series, score: str) -> Row:
    """A row of one score with a value and a deviation in each draw."""
    known, spread = ([None if pd.isna(one) else float(one) for one in part] for part in (each, deviations))
    details = Details(draws=len(known), values={score: known}, deviations={score: spread})
    value = value_of([Evaluation(one) for one in known], spread)
    return Row(model, "scored", scores={score: value}, details=details)


def all_of(settings: Settings) -> Settings:
    """The settings with a step on every image of a draw, of which there are never so many."""
    return dataclasses.replace(settings, step_samples=10**6)


def rows_of(
    chosen: list[Candidate], draws: list[Draw], settings: Settings, cache: ObservationCache | None
) -> list[Row]:
    """The rows that `acrank score` would give on these draws."""
    return [score_candidate(one, draws, settings, cache) for one in chosen]


def values(rows: list[Row], score: str) -> dict[str, float | None]:
    """Values by candidate, larger is better."""
    sign = 1 if BASE.for_task("classification").directions().get(score, True) else -1
    return {row.model: None if (value := row.value(score)) is None else sign * value for row in rows}


@contextmanager
def whole_draws() -> Iterator[None]:
    """Inside this context every draw goes through in one part."""
    before = part_size.MOST, part_size.GRAPH_BYTES, draw_passes.MOST
    part_size.MOST = draw_passes.MOST = 10**6
    part_size.GRAPH_BYTES = 2**40
    try:
        yield
    finally:
        part_size.MOST, part_size.GRAPH_BYTES, draw_passes.MOST = before


def taus(table: pd.DataFrame) -> pd.DataFrame:
    """Weighted tau of every column with the ground truth, by target, and their mean."""
    names = [name for name in table.columns[3:] if name not in ("ground_truth", "racing draws")]
    found = {}
    for target, rows in table.groupby("dataset", sort=False):
        found[target] = {name: tau(rows["ground_truth"], rows[name]) for name in names}
        found[target]["racing draws"] = rows["racing draws"].mean()
    out = pd.DataFrame(found)
    out["mean"] = out.mean(axis=1)
    return out


def tau(truth: pd.Series, score: pd.Series) -> float:
    """Weighted tau over the candidates that have the score."""
    kept = score.notna()
    return weighted_tau(truth[kept].to_numpy(), score[kept].to_numpy())


if __name__ == "__main__":
    main(sys.argv[1:])
