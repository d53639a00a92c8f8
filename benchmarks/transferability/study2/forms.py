"""Forms of the default held against the choosing targets of both studies: which product of parts ranks best.

    python -m benchmarks.transferability.study2.forms

Reads results.csv, scores.csv and recomputed.csv of the first study, results_POOL_choosing.csv of this one, and
parts.csv: the drift's factor in the default before, and kNN and the linear probe of the rows that the kernel is of
(with masks 512 positions; elsewhere all images). Writes forms.csv and forms.md. All forms are products of what one
forward and backward pass gives; the drift enters them as it does the default, sqrt(d / (d + 0.02)).

All but the last form were committed before any score of pool b was computed, with the rule to take the one with the
highest mean over the sets if it leads the former one by 0.01; before that, 2,090 products of ten parts had been
looked at on the other three sets. Those with ridge x kNN and with the linear probe tied at the head of that list
(0.598 each with kNN and the probe of all positions, 0.585 and 0.587 as they are here; 0.592 with NLEEP, which fits a
mixture for each candidate), so the product of the parts of both was looked at, too, and is what the default is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from acrank.comparison.statistics import weighted_tau

from . import HERE
from .tables2 import DEFAULT, markdown

FORMER, TAKEN = "alignment x ridge x drift", "alignment x ridge x kNN x linear probe x drift"
ALIGNMENT, RIDGE, DRIFT = "kernel_target_alignment", "kernel_ridge_accuracy", "drift"
KNN, PROBE = "knn", "linear_probe"
#: The parts of each product.
FORMS: Mapping[str, Sequence[str]] = {
    FORMER: (ALIGNMENT, RIDGE, DRIFT),
    "alignment x kNN x drift": (ALIGNMENT, KNN, DRIFT),
    "alignment x ridge x kNN x drift": (ALIGNMENT, RIDGE, KNN, DRIFT),
    "alignment x ridge x exp NLEEP x drift": (ALIGNMENT, RIDGE, "nleep", DRIFT),
    "alignment x linear probe x drift": (ALIGNMENT, PROBE, DRIFT),
    "alignment x ridge": (ALIGNMENT, RIDGE),
    TAKEN: (ALIGNMENT, RIDGE, KNN, PROBE, DRIFT),
}
TINY = 1e-6


def main() -> None:
    tables = sets()
    rows = [{"form": form, "set": name} | means(form, table) for form in FORMS for name, table in tables.items()]
    found = pd.DataFrame(rows)
    found.to_csv(HERE / "forms.csv", index=False, float_format="%.4f")
    wide = found.pivot(index="form", columns="set", values="weighted tau").reindex(list(FORMS))[list(tables)]
    body = [[form, *(f"{x:.3f}" for x in row), f"{row.mean():.3f}"] for form, row in wide.iterrows()]
    lines = [
        "Mean weighted tau of forms of the default on the choosing targets, by set of candidates. Made by forms.py.",
        f"The default was {FORMER} and is {TAKEN}; why, forms.py says.",
        "",
        *markdown(["form", *wide.columns, "mean"], body),
    ]
    text = "\n".join(lines)
    (HERE / "forms.md").write_text(text, encoding="utf-8")
    print(text)


def sets() -> dict[str, pd.DataFrame]:
    """Choosing targets with truth, parts and drift: the first study's, with drift as it is now, and each pool's."""
    first = HERE.parent
    truth = pd.read_csv(first / "results.csv").query("half == 'choosing'")[["dataset", "model", "ground_truth"]]
    now = pd.read_csv(first / "recomputed.csv")[["dataset", "model", "three draws"]]
    parts = pd.read_csv(first / "scores.csv").drop(columns=DEFAULT)
    known = truth.merge(parts).merge(now)
    known[DRIFT] = known.pop("three draws") / (known[ALIGNMENT] * known[RIDGE])
    own = pd.read_csv(HERE / "parts.csv")
    found = {"first study": known}
    for path in sorted(HERE.glob("results_*_choosing.csv")):
        found[f"pool {path.stem.split('_')[1]}"] = (
            pd.read_csv(path).drop(columns=[KNN, PROBE]).merge(own, validate="one_to_one")
        )
    return found


def means(form: str, table: pd.DataFrame) -> dict[str, float]:
    """Mean and lowest weighted tau of a form over the targets of a set."""
    taus = [weighted_tau(value(form, own), own["ground_truth"]) for _, own in table.groupby("dataset")]
    return {"weighted tau": float(np.mean(taus)), "lowest": float(np.min(taus)), "targets": len(taus)}


def value(form: str, rows: pd.DataFrame) -> pd.Series:
    """The logarithm of the product, [candidates]; parts count as TINY at least."""
    found = pd.Series(0.0, rows.index)
    for part in FORMS[form]:
        found += rows[part] if part == "nleep" else rows[part].clip(lower=TINY).map(math.log)
    return found


if __name__ == "__main__":
    main()
