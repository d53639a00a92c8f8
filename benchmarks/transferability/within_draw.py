"""Do the images of one draw tell how far the default score moves between draws? On the choosing half's targets.

    python benchmarks/transferability/within_draw.py [--shared FOLDER] [--work FOLDER]

With the candidates that are bit for bit those of the ground truth (kinds real and embedded), on the draws of scores.py:
the score on each of three draws, and its deviation as `acrank.scores.draw_deviation` has it from the images of each.
Writes within_draw.csv beside this file, a row per target and candidate; what is there is not done again. Prints by
target: the root mean square over candidates of the deviation between draws and of the estimates; how many candidates
overlap the leader after one draw, by comparison intervals and by 95% intervals; in what share of the cases those have
the leader of the other two draws; what share of all pairs one draw tells apart, and of these the share that the other
two draws order the other way round.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
from observe import draws_of
from recomputed import BASE, DRAWS, HERE, finetuned_ones
from targets import STUDIES
from truth import suits, target_of

from acrank.ranking.candidates import score_candidate
from acrank.ranking.values import comparison_reach

OUT = HERE / "within_draw.csv"
COLUMNS = ("between draws", "estimated", "band", "band by 95%", "has the other leader", "told apart", "contradicted")


def main(words: list[str]) -> None:
    data, work, candidates = finetuned_ones(words, __doc__)
    rows = pd.read_csv(OUT).to_dict("records") if OUT.exists() else []
    done = {(row["dataset"], row["model"]) for row in rows}
    truths = pd.read_csv(HERE / "recomputed.csv").set_index(["dataset", "model"])["ground_truth"]
    for name, study in STUDIES.items():
        if study.half != "choosing":
            continue
        target = target_of(name, data, work)
        settings, draws = BASE.for_task(target.task), draws_of(study, target, DRAWS)
        for candidate in candidates:
            key = (name, candidate.id)
            if suits(candidate, study) and key in truths.index and key not in done:
                details = score_candidate(candidate, draws, settings, None).details
                values, deviations = (part[settings.rank_by] for part in (details.values, details.deviations))
                both = zip(values, deviations, strict=True)
                found = {
                    f"{what} {draw}": x for draw, pair in enumerate(both) for what, x in zip(WHAT, pair, strict=True)
                }
                rows.append({"dataset": name, "model": candidate.id, "ground_truth": truths[key], **found})
        pd.DataFrame(rows).to_csv(OUT, index=False, float_format="%.6g")
        print(name, file=sys.stderr, flush=True)
    print(figures(pd.DataFrame(rows)).to_string(float_format=lambda x: f"{x:.4f}"))


WHAT = ("draw", "deviation")


def figures(table: pd.DataFrame) -> pd.DataFrame:
    """COLUMNS by target, means over which draw is the one, and the mean of all."""
    found = {}
    for target, rows in table.groupby("dataset", sort=False):
        values, deviations = (rows[[f"{what} {draw}" for draw in range(DRAWS)]].to_numpy() for what in WHAT)
        between = float(np.sqrt(values.var(axis=1, ddof=1).mean()))
        estimated = float(np.sqrt(np.square(deviations).mean()))
        each = [of_one_draw(values, deviations[:, draw], draw) for draw in range(DRAWS)]
        found[target] = [between, estimated, *np.mean(each, axis=0)]
    out = pd.DataFrame(found, index=COLUMNS)
    out["mean"] = out.mean(axis=1)
    return out


def of_one_draw(values: np.ndarray, deviations: np.ndarray, draw: int) -> list[float]:
    """The last five of COLUMNS, from one draw against the mean of the others."""
    one, others = values[:, draw], np.delete(values, draw, axis=1).mean(axis=1)
    reach = np.array([comparison_reach(deviation) for deviation in deviations])
    leader = one.argmax()
    band, wide = (one + by >= one[leader] - by[leader] for by in (reach, reach * 2**0.5))
    apart = (one - reach)[:, None] > (one + reach)[None, :]
    contradicted = (apart & (others[:, None] < others[None, :])).sum() / max(1, apart.sum())
    pairs = len(one) * (len(one) - 1) / 2
    return [band.sum(), wide.sum(), band[others.argmax()], apart.sum() / pairs, contradicted]


if __name__ == "__main__":
    main(sys.argv[1:])
