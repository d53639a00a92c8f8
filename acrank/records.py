"""What a run leaves behind: values, rows, the ranking, and the run record on disk."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from acrank.errors import TableError
from acrank.system.files import atomic_write
from acrank.system.plain_data import dumps, plain, read_json, validated
from acrank.system.ranked_layout import ranked_view
from acrank.system.record_schema import body_of, check_rows
from acrank.system.view import View

if TYPE_CHECKING:
    import pandas

SCHEMA_VERSION = 2
KIND = "acrank-run"
_STRICT = {"extra": "forbid"}  # pydantic's reading of records: no unknown field


@dataclass(frozen=True)
class Value:
    """One score of one candidate.

    Attributes:
        value: mean over the sampled batches, or None where the score is undefined (`note` says why).
        sd: standard deviation over the batches (ddof 1); None with a single batch.
        low, high: 95% interval of the mean over batches (Student's t); None where there is none.
        no_drift: the same quantity before the step: what the checkpoint alone gives.
        shuffled: the same quantity when the sample's labels are permuted.
        note: why the value is None, or what to know about it.
    """

    __pydantic_config__ = _STRICT

    value: float | None
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    no_drift: float | None = None
    shuffled: float | None = None
    note: str | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the interval; without one, the value twice."""
        middle = math.nan if self.value is None else self.value
        return (middle if self.low is None else self.low, middle if self.high is None else self.high)

    def overlaps(self, other: Value) -> bool:
        """Whether the two intervals overlap; without intervals only equal values do."""
        (low, high), (other_low, other_high) = self.interval, other.interval
        return low <= other_high and other_low <= high


@dataclass(kw_only=True)
class Details:
    """What scoring a candidate took, beside its settings; None where there is nothing to say.

    Attributes:
        draws: how many draws its values are means of; after a race those of the ranking score.
        draws_of_others: how many draws the scores without an entry in `values` are means of, where those are fewer.
        values: of the ranking score, for each draw; no value of a pool-relative one.
        input: what the network was shown: size, in_chans, mean, std.
        step_size: of the step on the affine parameters.
        device: on which the passes ran.
        precision: what autocast computed in.
        patches: corners of the patches of each draw, and labelled positions of each patch.
        at_once: how many inputs went through the network together; batch statistics are theirs.
        lowered: from how many inputs at a time to how many that was lowered for lack of memory.
        depends_on: digests of its weights and code, and acrank's scheme; a row with others is computed anew.
        cached, cache_failure: whether every observation came from the cache; why it could not be written.
        parts: pool-relative score -> this candidate's part of it, for each draw.
        entry: digest of the manifest entry.
    """

    __pydantic_config__ = _STRICT

    draws: int | None = None
    draws_of_others: int | None = None
    values: dict[str, list[float | None]] = field(default_factory=dict)
    input: dict[str, Any] | None = None
    step_size: float | None = None
    device: str | None = None
    precision: str | None = None
    patches: dict[str, Any] | None = None
    at_once: int | None = None
    lowered: dict[str, list[int]] | None = None
    cached: bool | None = None
    cache_failure: str | None = None
    parts: dict[str, list[Any]] = field(default_factory=dict)
    entry: str | None = None
    depends_on: dict[str, str] | None = None

    def draws_of(self, score: str) -> int:
        """How many draws the value of one score is a mean of."""
        if score in self.values:
            return len(self.values[score])
        return self.fewest_draws

    @property
    def fewest_draws(self) -> int:
        """How many draws every score has at least."""
        return self.draws_of_others or self.draws or 1


@dataclass
class Row:
    """One candidate of a run, scored or skipped with a reason.

    Attributes:
        model: the candidate's id in the manifest.
        status: "scored" or "skipped".
        reason: why it was skipped (empty when scored).
        scores: name of the score -> Value.
        rank, band: 1-based; the sample cannot distinguish candidates of a band. None when not ranked or not known.
        params: number of parameters of the network.
        seconds: wall time that the run spent on this candidate; loading while another is computed adds nothing.
        notes: what a reader should know about this candidate.
        weights: sha256 of the weights and how many tensors matched, were missing and were left over.
        layers: per normalisation layer: name, channels and values after the step (that under the random head where no
            score takes another).
        reference, details: figures from the manifest, for comparison; what scoring it took.
    """

    __pydantic_config__ = _STRICT

    model: str
    status: Literal["scored", "skipped"]
    reason: str = ""
    scores: dict[str, Value] = field(default_factory=dict)
    rank: int | None = None
    band: int | None = None
    params: int | None = None
    seconds: float | None = None
    notes: list[str] = field(default_factory=list)
    weights: dict[str, Any] = field(default_factory=dict)
    layers: list[dict[str, Any]] = field(default_factory=list)
    reference: dict[str, float] = field(default_factory=dict)
    details: Details = field(default_factory=Details)

    def value(self, score: str) -> float | None:
        """The value of one score, None where the row lacks it or it is undefined (None, NaN, infinite)."""
        found = self.scores.get(score)
        return None if found is None or found.value is None or not math.isfinite(found.value) else found.value


@dataclass
class Ranking:
    """A finished (or partial) run: rows in rank order, and everything needed to repeat it.

    Attributes:
        rows: ranked rows first, best first, then rows without a value, then skipped rows.
        rank_by: the score that orders the rows.
        higher_is_better: direction of every score, the same under every protocol.
        settings, environment, target: how the run was made.
        controls: figures about the ranking as a whole, such as its agreement with layer width.
        notes, warnings: what a reader should know about the target, and must know about the run.
        candidates, complete: how many there were; whether the run ended. None in records of earlier versions.

    Example:
        >>> rows = [Row(name, "scored", scores={"s": Value(x)}) for name, x in (("a", 1.0), ("b", 2.0))]
        >>> Ranking.of(rows, rank_by="s", higher_is_better={"s": True}).best.model
        'b'
    """

    __pydantic_config__ = _STRICT

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
        an interval (a single draw), nothing is known of bands, and there are none.
        """
        directions = dict(higher_is_better)
        return cls(_ranked(list(rows), rank_by, directions[rank_by]), rank_by, directions, **about)

    @property
    def best(self) -> Row | None:
        """The first ranked row, None when nothing was ranked."""
        return self.rows[0] if self.rows and self.rows[0].rank is not None else None

    @property
    def lacking(self) -> str:
        """Why this is not the record of a whole run; empty where it is."""
        if not self.rows:
            return "the record has no rows"
        if self.complete is False or len(self.rows) < (self.candidates or 0):
            return f"the run was not finished: {len(self.rows)} of {self.candidates or 'its'} candidates have a row"
        return ""

    @property
    def score_names(self) -> list[str]:
        """Scores present in any row, the ranking one first."""
        return list(dict.fromkeys([self.rank_by, *(name for row in self.rows for name in row.scores)]))

    def columns(self) -> list[str]:
        """The columns of the CSV view, in order."""
        scores = [column for name in self.score_names for column in (name, f"{name}_sd")]
        return ["rank", "band", "model", "status", *scores, "params", "seconds", "reason"]

    def cells(self) -> list[list[Any]]:
        """One list per row, in the order of `columns()`; None where there is nothing."""
        names, rows = self.score_names, []
        for row in self.rows:
            pairs = [(row.value(name), row.scores.get(name, Value(None)).sd) for name in names]
            values = [cell for pair in pairs for cell in pair]
            rows.append([row.rank, row.band, row.model, row.status, *values, row.params, row.seconds, row.reason])
        return rows

    def to_frame(self) -> pandas.DataFrame:
        """The CSV view as a DataFrame, one row per candidate."""
        import pandas

        return pandas.DataFrame(self.cells(), columns=pandas.Index(self.columns()))

    def view(self) -> View:
        """The ranking for every format; the table has the ranking score as a share of the best, skipped rows below."""
        found = [(row.value(self.rank_by), row.scores.get(self.rank_by, Value(None))) for row in self.rows]
        return ranked_view(
            View(columns=self.columns(), rows=self.cells(), record=self.to_record()),
            [(value, one.low, one.high) for value, one in found],
            scores=self.score_names,
            higher_is_better=self.higher_is_better[self.rank_by],
            target=self.target.get("name", "target"),
            noted=[bool(row.notes) for row in self.rows],
        )

    def to_record(self) -> dict[str, Any]:
        """The run record: plain data, ready for JSON; NaN and infinities become None."""
        return dict(plain({"kind": KIND, "schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}))

    @classmethod
    def from_record(cls, record: Any, *, where: str = "run record") -> Ranking:
        """The inverse of `to_record`; records of schema 1 (acrank 0.2.0) are read, too.

        Raises:
            TableError: not a run record, or one of a later schema.
        """
        body = body_of(record, KIND, SCHEMA_VERSION, where=where)
        try:
            ranking = validated(cls, body)
            check_rows(body["rows"])
            if ranking.rank_by not in ranking.higher_is_better:
                raise ValueError(f"no direction for {ranking.rank_by!r}")
            ranking.rows = _ranked(ranking.rows, ranking.rank_by, ranking.higher_is_better[ranking.rank_by])
            return ranking
        except ValueError as error:
            raise TableError(f"{where} is damaged: {error}", hint="run `acrank score` again") from error

    def save(self, path: Path) -> None:
        """Write the run record as JSON, whole or not at all."""
        atomic_write(path, dumps(self.to_record()))

    @classmethod
    def load(cls, path: Path) -> Ranking:
        """Read a run record; raises TableError where it is missing, not JSON, or no run record."""
        return cls.from_record(read_json(path, "run.json that `acrank score` wrote"), where=str(path))


def _ranked(rows: list[Row], score: str, higher: bool) -> list[Row]:
    sign = -1.0 if higher else 1.0

    def order(row: Row) -> tuple[bool, bool, float, str]:
        value = row.value(score)
        return (row.status != "scored", value is None, 0.0 if value is None else sign * value, row.model)

    leader: Value | None = None
    known = any(row.scores[score].low is not None for row in rows if row.value(score) is not None)
    band, out = 0, []
    for place, row in enumerate(sorted(rows, key=order), start=1):
        if row.status != "scored" or row.value(score) is None:
            out.append(dataclasses.replace(row, rank=None, band=None))
            continue
        here = row.scores[score]
        if leader is None or not leader.overlaps(here):
            leader, band = here, band + 1
        out.append(dataclasses.replace(row, rank=place, band=band if known else None))
    return out
