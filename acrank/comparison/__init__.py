"""Scores against ground truth: how well does a score predict finetuned performance?

`read_scores` and `read_truth` read the tables, `compare` returns a Comparison.
"""

from __future__ import annotations

from acrank.comparison.clusters import read_clusters
from acrank.comparison.comparing import compare
from acrank.comparison.results import Comparison, Estimate, ScoreResult
from acrank.comparison.tables import Measurement, Scores, Truth, read_scores, read_truth

__all__ = [
    "Comparison",
    "Estimate",
    "Measurement",
    "ScoreResult",
    "Scores",
    "Truth",
    "compare",
    "read_clusters",
    "read_scores",
    "read_truth",
]
