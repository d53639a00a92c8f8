"""Figures of the committed studies that a verdict tells; a test works them out again from the studies' tables."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ShortlistFigure:
    """How far the best of the first candidates was behind the best of all, by finetuning.

    Attributes:
        score: that ordered them, under the one-step protocol.
        first: how many of them.
        within: the quality of the best of all less that of the best of the first, at most.
        times: on how many targets that held.
        targets: of how many.
    """

    score: str
    first: int
    within: float
    times: int
    targets: int


#: benchmarks/transferability: results.csv (eleven targets of the first study, 33 to 44 candidates each, by the default
#: of 0.2) and study2/results_POOL_choosing.csv (32 candidates on eight targets, 21 of normal size on four, 11 U-Nets on
#: four); tests/benchmarks/test_shortlist_figure.py.
SHORTLIST = ShortlistFigure(score="finetunability", first=5, within=0.01, times=24, targets=27)
