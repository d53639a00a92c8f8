"""The main flow of `compare`: tables in, a Comparison out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from acrank.comparison.aligning import AlignedDataset, align
from acrank.comparison.caveats import comparison_warnings
from acrank.comparison.given_tables import ScoresGiven, TruthGiven, as_scores, as_truth
from acrank.comparison.measuring import ResampledDataset, averages, measure_all
from acrank.comparison.own_training import without_own_training
from acrank.comparison.permutation import Permutations
from acrank.comparison.resampling import CONFIDENCE, bootstrap_counts
from acrank.comparison.results import Comparison
from acrank.comparison.tables import Scores
from acrank.comparison.target_match import doubts_about_target
from acrank.errors import TableError, UsageError
from acrank.system.activity import Stage, announce
from acrank.system.words import closest

#: Number of truths with resampled seeds among which the resamples are divided.
_TRUTHS = 50


def compare(
    scores: ScoresGiven,
    truth: TruthGiven | None = None,
    *,
    method: str | None = None,
    higher_is_better: Mapping[str, bool] | None = None,
    versus: str | None = None,
    top_k: Sequence[int] = (1, 3),
    seed: int = 0,
    resamples: int = 1000,
    clusters: Mapping[str, str] | None = None,
) -> Comparison:
    """The agreement of each score with finetuned performance.

    Args:
        scores: what `acrank.score` returned, the path of a run record or of a table, a DataFrame, or what `read_scores`
            read. `joint` is left out, with a warning, where the truth is that of the run's own short trainings.
        truth: the path of a table, a DataFrame, or what `read_truth` read; None takes the ground truth in the scores'
            own long table.
        method: the finetuning method, where a table has several.
        higher_is_better: score -> direction; overrides that of a run record, or of the package's own scores. Without
            any, higher is better.
        versus: the score that every other one is paired with; default: the one that ranks the run, else the first.
        top_k: the k of top-k hit, Rel@k and regret.
        seed: of the resamples and permutations.
        resamples: number of bootstrap samples and of permutations; at least 100.
        clusters: model -> its cluster of near-copies (such as one checkpoint under several names), which are resampled
            together; a model without one is its own.

    Returns:
        A Comparison. Intervals are 95% percentile bootstrap intervals over models and, if the truth has seeds or
        standard errors, over those too, which makes them rather too wide (benchmarks/comparison/coverage_seeds.json).

    Raises:
        TableError: no ground truth, one of another task than the run's, or scores and truth have nothing in common, or
            nothing but what the truth itself had a say in.
        UsageError: an unknown score in `higher_is_better` or `versus`, or a number out of range.

    Example:
        >>> from acrank.comparison.tables import Measurement, Truth
        >>> names = "abcdef"
        >>> scores = Scores("s", {"": {"logme": {m: float(i) for i, m in enumerate(names)}}}, {"": list(names)})
        >>> truth = Truth("t", {"": {m: Measurement(0.5 + 0.1 * i) for i, m in enumerate(names)}})
        >>> round(compare(scores, truth).results[0].figures["weighted_tau"].value, 6)
        1.0
    """
    scores = as_scores(scores, method=None if truth is not None else method)
    known = scores.truth if truth is None else as_truth(truth, method=method)
    if known is None:
        raise TableError(f"{scores.where} has no column 'ground_truth'", hint="give the ground truth with --truth")
    _check_options(scores, [*(higher_is_better or {}), *([versus] if versus else [])], top_k=top_k, resamples=resamples)
    scores, left_out = without_own_training(scores, known, versus)
    directions = dict.fromkeys(scores.names, True) | scores.higher_is_better | dict(higher_is_better or {})
    reference = versus or scores.rank_by or next(iter(scores.names), "")
    aligned = align(scores, known, directions, reference=reference)
    doubts = doubts_about_target(scores.target, known, aligned[0].name) if list(scores.datasets) == [""] else []
    resampled = _resample(aligned, top=tuple(top_k), seed=seed, resamples=resamples, clusters=clusters or {})
    measured = []
    for done, dataset in enumerate(resampled):
        announce(Stage(name="resampling", what=dataset.aligned.name, done=done, total=len(resampled), is_main=True))
        measured += measure_all(dataset, directions, reference)
    results = [found.result for found in measured]
    means = averages(measured) if len(resampled) > 1 else []
    over = "clusters of models" if clusters else "models"
    settings: dict[str, Any] = {"scores": scores.where, "truth": known.where, "method": known.method}
    settings |= {"versus": reference or None, "top_k": list(top_k), "seed": seed, "resamples": resamples}
    settings |= {"confidence": CONFIDENCE, "interval": f"percentile bootstrap over {over}"}
    settings["truth_resampled"] = any(len(dataset.truths) > 1 for dataset in resampled)
    return Comparison(
        results=results,
        averages=means,
        missing={
            dataset.name: {"without_truth": dataset.without_truth, "without_score": dataset.without_score}
            for dataset in aligned
            if dataset.without_truth or dataset.without_score
        },
        warnings=[*left_out, *doubts, *comparison_warnings(scores, aligned, [*results, *means])],
        settings=settings,
        datasets=aligned,
    )


def _check_options(scores: Scores, names: list[str], *, top_k: Sequence[int], resamples: int) -> None:
    for name in names:
        if name not in scores.names:
            has = ", ".join(scores.names) or "no score columns"
            raise UsageError(f"{scores.where} has no score {name!r}", hint=closest(name, scores.names, f"it has {has}"))
    if not top_k or min(top_k) < 1:
        raise UsageError(f"top k must be at least 1, not {list(top_k)}", hint="give --top-k 1 or more")
    if resamples < 100:
        raise UsageError(f"{resamples} resamples are too few for an interval", hint="give --resamples 100 or more")


def _resample(
    datasets: list[AlignedDataset],
    *,
    top: tuple[int, ...],
    seed: int,
    resamples: int,
    clusters: Mapping[str, str],
) -> list[ResampledDataset]:
    usable = [dataset for dataset in datasets if dataset.models]
    permutations = Permutations(seed, resamples)
    counts = bootstrap_counts([dataset.models for dataset in usable], resamples, seed, clusters=clusters)
    return [
        ResampledDataset(
            aligned=dataset,
            counts=drawn,
            truths=dataset.resampled_truths(min(_TRUTHS, resamples), seed),
            top=top,
            permutations=permutations,
        )
        for dataset, drawn in zip(usable, counts, strict=True)
    ]
