"""Weighted taus of combinations of variants on the choosing half; writes combinations_choosing.csv.

    python benchmarks/transferability/combine.py [--work FOLDER]

Needs the files of observe.py and choose.py in the work folder. Two kinds: means of ranks of two or three variants,
which need several candidates, and products of powers, which are defined for a single one. The default is a product.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from choose import table_of
from figures import FIGURES, Floats, figures
from study import CHOSEN_ON, HERE, truths
from truth import WORK

SINGLES = 110  # the best ones, whose pairs are tried
PAIRS = 10  # the best ones, which are tried with a third
THIRD, HALF = "layers last third", "layers last half"
#: What is multiplied: a kernel alignment, and powers of one of each of these.
KERNELS = (f"{THIRD}, kernel alignment", f"{HALF}, kernel alignment")
FACTORS = {
    (f"{THIRD}, ridge 0.1 accuracy", f"{HALF}, ridge 0.1 accuracy"): (0.5, 1.0, 1.5, 2.0, 3.0),
    ("ac/random0/drift@1", "ac/random0/drift@0.1", "ac/ridge/drift@1"): (0.1, 0.2, 1 / 3, 0.5, 0.7),
    ("ac/ridge/alignment, worst layer@1", "ac/random0/alignment, worst layer@1"): (0.1, 0.2, 1 / 3, 0.5, 0.7),
}
TINY = 1e-4  # below which a factor is not told from 0
Tables = dict[str, tuple[pd.DataFrame, Floats]]


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=WORK)
    options = parser.parse_args(words)
    tables = {}
    for name, truth in truths(splits=CHOSEN_ON).items():
        if truth.half == "choosing":
            table, mean = table_of(options.work, name), truth.mean
            models = [model for model in table.index if model in mean.index]
            tables[name] = (table.loc[models], mean[models].to_numpy())
    found = pd.concat([rank_means(tables), products(tables)], ignore_index=True)
    found = found.sort_values("mean", ascending=False)
    print(found["kind"].value_counts().to_string(), file=sys.stderr)
    for kind, rows in found.groupby("kind"):
        print(f"\n{kind}\n{rows.head(6).drop(columns='kind').round(3).to_string(index=False)}")
    print(f"\nproducts, powers chosen without the target: {left_out(found, list(tables)):.3f}")
    kept = found.groupby("kind").head(300)
    kept.to_csv(HERE / "combinations_choosing.csv", index=False, float_format="%.4f")


def rank_means(tables: Tables) -> pd.DataFrame:
    """Pairs of the best variants, and the best pairs with a third."""
    whole = [name for name in next(iter(tables.values()))[0] if all(t[name].notna().all() for t, _ in tables.values())]
    ranks = {target: table[whole].round(9).rank().to_numpy().T / len(table) for target, (table, _) in tables.items()}
    singles = taus(tables, len(whole), lambda target, rows: ranks[target][rows])
    best = np.argsort(-singles.mean(1))[:SINGLES]

    def of(sets: Sequence[tuple[int, ...]], kind: str) -> pd.DataFrame:
        places = np.array(sets)
        values = taus(tables, len(sets), lambda target, rows: ranks[target][places[rows]].sum(1))
        return framed(kind, [" + ".join(whole[i] for i in one) for one in sets], values, tables)

    pairs = list(itertools.combinations(best, 2))
    two = of(pairs, "mean of two ranks")
    top = [pairs[i] for i in two["mean"].nlargest(PAIRS).index]
    three = sorted({tuple(sorted((*pair, third))) for pair in top for third in best if third not in pair})
    return pd.concat([two, of(three, "mean of three ranks")], ignore_index=True)


def products(tables: Tables) -> pd.DataFrame:
    """A kernel alignment times powers of an accuracy, a drift and a channel alignment, each of which may be absent."""
    choices = [[None, *itertools.product(names, powers)] for names, powers in FACTORS.items()]
    sets = [
        {kernel: 1.0, **dict(filter(None, some))}
        for kernel, *some in itertools.product(KERNELS, *choices)  # type: ignore[arg-type]
    ]

    def values(target: str, rows: Floats) -> Floats:
        logs = np.log(tables[target][0].clip(lower=TINY))
        return np.stack([sum(power * logs[name] for name, power in sets[row].items()) for row in rows])

    names = [" x ".join(f"{name}^{power:.2g}" for name, power in one.items()) for one in sets]
    return framed("product", names, taus(tables, len(sets), values), tables)


def taus(tables: Tables, count: int, values: Callable[[str, Floats], Floats]) -> Floats:
    """Weighted taus [count, targets] of the columns, computed in chunks."""
    at = list(FIGURES).index("weighted tau")
    return np.stack(
        [
            np.concatenate([figures(np.round(values(target, rows), 9), truth)[:, at] for rows in parts(count)])
            for target, (_, truth) in tables.items()
        ],
        axis=1,
    )


def parts(count: int, size: int = 200) -> Iterator[Floats]:
    yield from np.split(np.arange(count), range(size, count, size))


def framed(kind: str, names: list[str], values: Floats, tables: Tables) -> pd.DataFrame:
    frame = pd.DataFrame(values, columns=list(tables))
    frame.insert(0, "mean", values.mean(1))
    frame.insert(0, "name", names)
    frame.insert(0, "kind", kind)
    return frame


def left_out(found: pd.DataFrame, targets: list[str]) -> float:
    """Mean tau of products chosen on the other targets: an estimate without the optimism of choosing."""
    rows = found[found["kind"] == "product"]
    return float(np.mean([rows.loc[rows[targets].drop(columns=one).mean(axis=1).idxmax(), one] for one in targets]))


if __name__ == "__main__":
    main(sys.argv[1:])
