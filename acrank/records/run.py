"""The ranking of a run, and the run record on disk."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acrank.errors import TableError
from acrank.records.csv_columns import csv_columns
from acrank.records.first_candidate import is_within_zero, looks_untrained, zero_of
from acrank.records.joint import joined
from acrank.records.order import JOINT, ranked, tied_with_first
from acrank.records.row import Row
from acrank.records.score_value import STRICT, Value
from acrank.records.showing import plot_ranking, text_of
from acrank.records.verdict import verdict_of
from acrank.system.files import atomic_write
from acrank.system.notebook import html_of
from acrank.system.plain_data import dumps, plain, read_json, validated
from acrank.system.ranked_layout import Trained, earlier_columns, ranked_view
from acrank.system.record_schema import body_of, check_rows
from acrank.system.view import View

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

SCHEMA_VERSION = 2
KIND = "acrank-run"


@dataclass(repr=False)
class Ranking:
    """A finished (or partial) run: rows in rank order, and everything needed to repeat it.

    Attributes:
        rows: ranked rows first, best first, then rows without a value, then skipped rows.
        rank_by: the score that orders the rows; `joint` where earlier targets or short trainings have a say.
        higher_is_better: direction of every score, the same under every protocol.
        settings: the options of the run, and what follows from them.
        environment: versions, machine and executor.
        target: what was ranked on: layout, task, classes, draws, and what was understood of the data.
        controls: figures about the ranking as a whole, such as its agreement with layer width.
        notes: what a reader should know about the target.
        warnings: what a reader must know about the run.
        candidates: how many there were; None in records of earlier versions.
        complete: whether the run ended; None in records of earlier versions.

    Example:
        >>> rows = [Row(name, "scored", scores={"s": Value(x)}) for name, x in (("a", 1.0), ("b", 2.0))]
        >>> Ranking.of(rows, rank_by="s", higher_is_better={"s": True}).best.model
        'b'
    """

    __pydantic_config__ = STRICT

    rows: list[Row]
    rank_by: str
    higher_is_better: dict[str, bool]
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    target: dict[str, Any] = field(default_factory=dict)
    controls: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    candidates: int | None = None
    complete: bool | None = None

    @classmethod
    def of(cls, rows: Iterable[Row], *, rank_by: str, higher_is_better: Mapping[str, bool], **about: Any) -> Ranking:
        """Order rows by a score and give them ranks and bands.

        Ties are broken by model name, so that the order never depends on the order of evaluation. A row joins
        the band of the rows before it while its interval overlaps the interval of the band's leader. Where no row has
        an interval, nothing is known of bands, and there are none. See `ranked`.
        """
        return cls([], rank_by, dict(higher_is_better), **about).ordered(rows, rank_by)

    def ordered(self, rows: Iterable[Row], rank_by: str) -> Ranking:
        """The same run with other rows, which get ranks and bands by a score whose direction is known."""
        changed = dataclasses.replace(self, rank_by=rank_by)
        score = changed.scored_by
        changed.rows = ranked(
            list(rows),
            rank_by,
            higher_is_better=self.higher_is_better[rank_by],
            bands_by=score,
            bands_higher=self.higher_is_better.get(score, True),
        )
        return changed

    @property
    def scored_by(self) -> str:
        """The score that orders the rows where nothing but the sample is known: `rank_by`, except under JOINT."""
        return str(self.settings.get("rank_by")) if self.rank_by == JOINT else self.rank_by

    @property
    def trained(self) -> dict[str, float]:
        """Model -> quality that a short training gave, of those that were trained and did not fail."""
        found = {row.model: row.refined.quality for row in self.rows if row.refined is not None}
        return {model: quality for model, quality in found.items() if quality is not None}

    @property
    def best(self) -> Row | None:
        """The first ranked row, None when nothing was ranked."""
        return self.rows[0] if self.rows and self.rows[0].rank is not None else None

    @property
    def verdict(self) -> list[str]:
        """Which candidate is first and how sure that is, in sentences; empty where nothing is ranked."""
        return verdict_of(self)

    @property
    def tied(self) -> list[Row]:
        """The rows that the sample cannot tell from the first; none where there are no bands. See `tied_with_first`."""
        if self.best is None or self.best.band is None:
            return []
        higher = self.higher_is_better.get(self.scored_by, True)
        return tied_with_first(
            self.rows, bands_by=self.scored_by, bands_higher=higher, by_training=self.rank_by == JOINT
        )

    @property
    def lacking(self) -> str:
        """Why this is not the record of a whole run; empty where it is."""
        if not self.rows:
            return "the record has no rows"
        if self.complete is False or len(self.rows) < (self.candidates or 0):
            found = f"{len(self.rows)} of {self.candidates or 'its'} candidates have a row"
            if len(self.rows) == self.candidates:
                found = "all candidates have a row, but what comes after them did not run; --resume goes on"
            return f"the run was not finished: {found}"
        return ""

    @property
    def score_names(self) -> list[str]:
        """Scores present in any row, the ranking one first."""
        return list(dict.fromkeys([self.rank_by, *(name for row in self.rows for name in row.scores)]))

    def columns(self) -> list[str]:
        """The columns of the CSV view, in order."""
        return [name for name, _ in csv_columns(self)]

    def cells(self) -> list[list[Any]]:
        """One list per row, in the order of `columns()`; None where there is nothing."""
        columns = csv_columns(self)
        return [[cell(row) for _, cell in columns] for row in self.rows]

    def to_frame(self) -> pandas.DataFrame:
        """The CSV view as a DataFrame, one row per candidate."""
        import pandas

        return pandas.DataFrame(self.cells(), columns=pandas.Index(self.columns()))

    def plot(self, axes: Axes | None = None, *, most: int = 20) -> Axes:
        """The ranking score of the first `most` candidates (1 to 60) with its intervals; see `plot_ranking`."""
        return plot_ranking(self, axes, most=most)

    def __repr__(self) -> str:
        return text_of(self)

    def _repr_html_(self) -> str:
        view = self.view()
        return html_of(view, [*view.footer, *(f"warning: {text}" for text in self.warnings)])

    def view(self) -> View:
        """The ranking for every format; the table has the ranking score as a share of the best, skipped rows below."""
        shown = self.scored_by  # a joint value is a share of ranks
        found = [(row.value(shown), row.scores.get(shown, Value(None))) for row in self.rows]
        refined = [row.refined for row in self.rows]
        metrics = [one.metric for one in refined if one is not None]
        qualities = [None if one is None else (one.quality, one.low, one.high) for one in refined]
        zeros = [zero_of(self, row) for row in self.rows]
        return ranked_view(
            View(columns=self.columns(), rows=self.cells(), record=self.to_record()),
            [(value, one.low, one.high) for value, one in found],
            scores=self.score_names,
            shown=shown,
            higher_is_better=self.higher_is_better[shown],
            target=self.target.get("name", "target"),
            marks=[("*" if row.notes else "") + ("u" if looks_untrained(row) else "") for row in self.rows],
            trained=Trained(metric=metrics[0], qualities=qualities) if metrics else None,
            more=earlier_columns([None if row.prior is None else row.prior.value for row in self.rows]),
            zero=[None if one is None else one.mean for one in zeros],
            within_zero=[is_within_zero(self, row) for row in self.rows],
            footer=[*([f"warning: {self.lacking}"] if self.lacking else []), *self.verdict],
        )

    def to_record(self) -> dict[str, Any]:
        """The run record: plain data, ready for JSON; NaN and infinities become None."""
        about = {"kind": KIND, "schema_version": SCHEMA_VERSION}
        return dict(plain({**about, **dataclasses.asdict(self), "verdict": self.verdict}))

    @classmethod
    def from_record(cls, record: Any, *, where: str = "run record") -> Ranking:
        """The inverse of `to_record`; records of schema 1 (acrank 0.2.0) are read, too.

        Raises:
            TableError: not a run record, or one of a later schema.
        """
        body = body_of(record, KIND, SCHEMA_VERSION, where=where)
        body.pop("verdict", None)  # follows from the rows
        try:
            ranking = validated(cls, body)
            if (ranking.candidates or 0) < 0:
                raise ValueError(f"candidates: {ranking.candidates} is negative")
            check_rows(body["rows"])
            for name in (ranking.rank_by, ranking.scored_by):
                if name not in ranking.higher_is_better:
                    raise ValueError(f"no direction for {name!r}")
            return joined(ranking.ordered(ranking.rows, ranking.rank_by))
        except ValueError as error:
            raise TableError(f"{where} is damaged: {error}", hint="run `acrank score` again") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the run record as JSON, whole or not at all."""
        atomic_write(Path(path), dumps(self.to_record()))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Ranking:
        """Read a run record; raises TableError where it is missing, not JSON, or no run record."""
        return cls.from_record(read_json(Path(path), "run.json that `acrank score` wrote"), where=str(path))
