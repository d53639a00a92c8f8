"""Run records made of random numbers, as large as wanted and with whatever names."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from typing import Any

from acrank.records import Prior, Ranking, Refined, Row, Value

DIRECTIONS = {
    "finetunability": True,
    "channel_alignment": True,
    "ac_corr": False,
    "affine_drift": True,
    "gradient_norm": True,
    "probe_accuracy": True,
}


def made_run(names: Sequence[str], *, layers: int = 0, seed: int = 0, skipped: int = 0) -> Ranking:
    """A run of one candidate per name, the last ones skipped; of every ten the first has intervals."""
    rng = random.Random(seed)
    rows = [_row(name, rng, layers=layers, order=place) for place, name in enumerate(names)]
    for row in rows[len(rows) - skipped :]:
        row.status, row.reason, row.scores, row.layers = "skipped", f"{row.model} could not be read", {}, []
    return Ranking.of(
        rows,
        rank_by="finetunability",
        higher_is_better=DIRECTIONS,
        settings={"protocol": "one-step", "samples": 128, "seed": 0},
        environment={"python": "3.11", "versions": {"acrank": "0"}},
        target={"name": "made", "task": "classification", "size": 240, "understood": {"classes": {"a": 120, "b": 120}}},
        candidates=len(rows),
        complete=True,
    )


def _row(name: str, rng: random.Random, *, layers: int, order: int) -> Row:
    scores = {score: Value(rng.lognormvariate(-1, 1)) for score in DIRECTIONS}
    if order % 10 == 0:
        middle = scores["finetunability"].value or 0.0
        scores["finetunability"] = Value(middle, sd=0.01, low=middle - 0.02, high=middle + 0.02)
    return Row(
        name,
        "scored",
        scores=scores,
        params=rng.randrange(10**5, 10**8),
        seconds=round(rng.lognormvariate(0, 1), 4),
        weights={"file": f"{order}.safetensors", "sha256": f"{rng.getrandbits(256):064x}", "matched": 92, "missing": 0},
        layers=[
            {"name": f"blocks.{place}.norm", "channels": 64, "untouched": False}
            | {metric: rng.lognormvariate(-3, 2) for metric in ("ac_corr", "channel_alignment", "affine_drift")}
            for place in range(layers)
        ],
    )


def refine(ranking: Ranking, count: int) -> Ranking:
    """The run with a prior and a short training of its first candidates; that of the last of them failed."""
    for place, row in enumerate(ranking.rows[:count]):
        curve = [round(0.8 - 0.1 * place - 0.3 / epoch, 3) for epoch in range(1, 6)]
        row.prior = Prior(value=0.5 + 0.1 * place, targets=3)
        row.refined = Refined(
            metric="balanced accuracy",
            quality=curve[-1],
            low=curve[-1] - 0.05,
            high=curve[-1] + 0.05,
            curve=curve,
            epochs=5,
        )
    ranking.rows[count - 1].refined = Refined(metric="balanced accuracy", quality=None, reason="out of memory")
    return ranking


def damaged(record: dict[str, Any], path: Sequence[Any], value: Any) -> dict[str, Any]:
    """A copy of a record with one place changed, or taken away where `value` is ...."""
    out = copy.deepcopy(record)
    place: Any = out
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return out
