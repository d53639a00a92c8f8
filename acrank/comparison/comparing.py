"""The main flow of `compare`: tables in, a Comparison out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from acrank.comparison.averaging import averages
from acrank.comparison.caveats import warnings_of
from acrank.comparison.intervals import CONFIDENCE, bootstrap_counts
from acrank.comparison.measuring import Frame, measure_all
from acrank.comparison.permutation import Permutations
from acrank.comparison.results import Comparison
from acrank.comparison.study import Study, studies_of
from acrank.comparison.tables import Scores, Truth
from acrank.errors import TableError, UsageError

#: How many draws of the truth's seeds the resamples share.
_TRUTH_VERSIONS = 50


def compare(
    scores: Scores,
    truth: Truth | None = None,
    *,
    higher_is_better: Mapping[str, bool] | None = None,
    versus: str | None = None,
    top_k: Sequence[int] = (1, 3),
    seed: int = 0,
    resamples: int = 1000,
) -> Comparison:
    """How well does each score predict finetuned performance?

    Args:
        scores: from `read_scores`.
        truth: from `read_truth`; None takes the ground truth of the scores' own long table.
        higher_is_better: score -> direction; overrides what a run record says. Scores in neither: higher is better.
        versus: the score that every other one is paired with; by default the one that ranks the run, else the first.
        top_k: the k of top-k hit, Rel@k and regret.
        seed: of the resamples and permutations.
        resamples: bootstrap samples, and permutations; at least 100.

    Returns:
        A Comparison. Intervals are 95% percentile bootstrap intervals over models and, where the truth has seeds or
        standard errors, over those too, which errs on the wide side (benchmarks/comparison/coverage_seeds.json).

    Raises:
        TableError: no ground truth, or nothing in common between scores and truth.
        UsageError: an unknown score in `higher_is_better` or `versus`, or a number out of range.

    Example:
        >>> from acrank.comparison.tables import Measurement
        >>> names = "abcdef"
        >>> scores = Scores("s", {"": {"logme": {m: float(i) for i, m in enumerate(names)}}}, {"": list(names)})
        >>> truth = Truth("t", {"": {m: Measurement(0.5 + 0.1 * i) for i, m in enumerate(names)}})
        >>> round(compare(scores, truth).results[0].figures["weighted_tau"].value, 6)
        1.0
    """
    known = truth or scores.truth
    if known is None:
        raise TableError(f"{scores.where} has no column 'ground_truth'", hint="give the ground truth with --truth")
    _check(scores, higher_is_better or {}, versus, top_k, resamples)
    directions = dict.fromkeys(scores.names, True) | scores.higher_is_better | dict(higher_is_better or {})
    studies = studies_of(scores, known, directions)
    reference = versus or scores.rank_by or next(iter(scores.names), "")
    frames = _frames(studies, tuple(top_k), seed, resamples)
    measured = [found for frame in frames for found in measure_all(frame, directions, reference)]
    results = [found.result for found in measured]
    means = averages(measured) if len(frames) > 1 else []
    settings: dict[str, Any] = {"scores": scores.where, "truth": known.where, "method": known.method}
    settings |= {"versus": reference or None, "top_k": list(top_k), "seed": seed, "resamples": resamples}
    settings |= {"confidence": CONFIDENCE, "interval": "percentile bootstrap over models"}
    settings["truth_resampled"] = any(len(frame.versions) > 1 for frame in frames)
    warnings = warnings_of(scores, known, studies, [*results, *means])
    return Comparison(results, means, _missing(studies), warnings, settings, studies)


def _check(
    scores: Scores, directions: Mapping[str, bool], versus: str | None, top: Sequence[int], resamples: int
) -> None:
    for name in [*directions, *([versus] if versus else [])]:
        if name not in scores.names:
            has = ", ".join(scores.names) or "no score columns"
            raise UsageError(f"{scores.where} has no score {name!r}", hint=f"it has {has}")
    if not top or min(top) < 1:
        raise UsageError(f"top k must be at least 1, not {list(top)}", hint="give --top-k 1 or more")
    if resamples < 100:
        raise UsageError(f"{resamples} resamples are too few for an interval", hint="give --resamples 100 or more")


def _frames(studies: list[Study], top: tuple[int, ...], seed: int, resamples: int) -> list[Frame]:
    usable = [study for study in studies if study.models]
    permutations = Permutations(seed, resamples)
    counts = bootstrap_counts([study.models for study in usable], resamples, seed)
    return [
        Frame(study, drawn, study.truth_versions(min(_TRUTH_VERSIONS, resamples), seed), top, permutations)
        for study, drawn in zip(usable, counts, strict=True)
    ]


def _missing(studies: list[Study]) -> dict[str, dict[str, list[str]]]:
    return {
        study.dataset: {"without_truth": study.without_truth, "without_score": study.without_score}
        for study in studies
        if study.without_truth or study.without_score
    }
