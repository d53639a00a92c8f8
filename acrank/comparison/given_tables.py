"""What `compare` takes in place of tables that were read: rankings, run records, files and DataFrames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from acrank.comparison.csvtable import CsvTable, parse_csv
from acrank.comparison.tables import Scores, Truth, read_scores, read_truth, scores_in, scores_of_run, truth_in
from acrank.errors import UsageError
from acrank.records import Ranking

if TYPE_CHECKING:
    import pandas

ScoresGiven: TypeAlias = Union[Scores, Ranking, "pandas.DataFrame", str, Path]
TruthGiven: TypeAlias = Union[Truth, "pandas.DataFrame", str, Path]
_FRAME = Path("the DataFrame")  # as errors call it


def as_scores(given: ScoresGiven, *, method: str | None = None) -> Scores:
    """Scores from a ranking, a run record's or CSV's path, or a DataFrame such as `Ranking.to_frame()` gives.

    A table says nothing of directions; the package's own scores keep theirs.

    Args:
        given: the scores.
        method: the finetuning method to keep, for a long table with several.

    Raises:
        TableError: unreadable, a missing column, a duplicate model, or text in place of a number.
        UsageError: something else than these.
    """
    if isinstance(given, Scores):
        return given
    if isinstance(given, Ranking):
        return scores_of_run(given, "the ranking")
    if isinstance(given, str | Path):
        found = read_scores(Path(given), method=method)
    else:
        found = scores_in(_table_of(given, "scores"), method=method)
    own = {name: way for name, way in own_directions().items() if name in found.names}
    return replace(found, higher_is_better=own | found.higher_is_better)


def as_truth(given: TruthGiven, *, method: str | None = None) -> Truth:
    """Ground truth from a CSV's path or a DataFrame with the columns `model,ground_truth` and those of `read_truth`.

    Raises:
        TableError: unreadable, a missing column, several methods and none chosen, or a value that cannot be.
        UsageError: something else than these.
    """
    if isinstance(given, Truth):
        return given
    if isinstance(given, str | Path):
        return read_truth(Path(given), method=method)
    return truth_in(_table_of(given, "truth"), method)


def own_directions() -> Mapping[str, bool]:
    """For each of the package's own scores whether higher is better."""
    from acrank.scores import SCORES

    return {name: found.higher_is_better for name, found in SCORES.items()}


def _table_of(given: Any, what: str) -> CsvTable:
    """A DataFrame as the table that its CSV would be; an index that is named becomes columns."""
    import pandas

    if not isinstance(given, pandas.DataFrame):
        kinds = "a path, a DataFrame" if what == "truth" else "a Ranking, a path, a DataFrame"
        raise UsageError(f"{what} cannot be a {type(given).__name__}", hint=f"give {kinds}, or what `read_{what}` read")
    frame = given.reset_index() if any(given.index.names) else given
    return parse_csv(frame.to_csv(index=False), _FRAME)
