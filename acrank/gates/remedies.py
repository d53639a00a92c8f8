"""What to do about gates that failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from acrank.gates.check_report import GateResult
from acrank.gates.lookups import listed
from acrank.records import Ranking

_PLACES = ("top_k", "leading_band", "margin", "same_best", "refined_top_k")
_OTHERS = {
    "no_skipped": (
        "`acrank zoo validate` says what skipped candidates lack: mend their entries, or take them out of the manifest"
    ),
    "no_warnings": "change what the warnings name and score anew; where it cannot be, leave out --no-warnings",
    "classes": "`acrank inspect` shows which classes were understood, and from what",
    "images": "`acrank inspect` shows which images were found, and what was left out",
    "time": "a busy machine is slower: score again on one like that of the baseline, with --no-cache",
    "max_seconds": "a busy machine is slower: score again with --no-cache, or with fewer --samples",
    "weighted_tau": "`acrank compare` shows every score against the truth: another may order these candidates better",
}


def remedies(results: Iterable[GateResult], ranking: Ranking) -> list[str]:
    """A sentence for each kind of gate that failed; the gate `complete` says in its message what to do.

    Args:
        results: of a check.
        ranking: that was checked.

    Example:
        >>> from acrank.records import Row, Value
        >>> rows = [Row(name, "scored", scores={"s": Value(x)}) for name, x in (("a", 1.0), ("b", 2.0))]
        >>> ranking = Ranking.of(rows, rank_by="s", higher_is_better={"s": True})
        >>> failed = GateResult(name="top_k", passed=False, message="a is rank 2", observed=2, required="rank <= 1")
        >>> print(*remedies([failed], ranking))
        take b, or train the first few to see whether the difference lasts: score with --refine 2 --resume
    """
    failed = {result.name for result in results if not result.passed}
    return [*_about_the_place(failed, ranking), *(text for name, text in _OTHERS.items() if name in failed)]


def _about_the_place(failed: set[str], ranking: Ranking) -> Iterator[str]:
    best, ranked = ranking.best, [row for row in ranking.rows if row.rank is not None]
    if best is None or not failed.intersection(_PLACES):
        return
    take = f"take {listed([best.model])}"
    if best.refined is not None:
        yield f"{take}, or see with a longer --refine-budget whether the difference lasts"
    elif len(ranked) > 1:
        few = min(5, len(ranked))
        yield f"{take}, or train the first few to see whether the difference lasts: score with --refine {few} --resume"
