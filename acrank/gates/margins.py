"""Margins of a gate, in the unit that its file names."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from acrank.errors import GatesError
from acrank.gates.check_report import one_line
from acrank.records import Row
from acrank.records.order import JOINT
from acrank.records.score_value import COMPARISON

Unit = Literal["score", "best", "range", "se"]
_FORM = re.compile(r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(?P<unit>%\s*of\s+range|%|se)?")
_SIGNS: dict[Unit, str] = {"score": "", "best": "%", "range": "% of range", "se": " se"}


@dataclass(frozen=True)
class Within:
    """A margin: how far a value may lie from the best one.

    Attributes:
        amount: in the unit; shares as fractions.
        unit: "score" (the score's own unit), "best" (share of the best value's magnitude), "range" (share of the
            distance from the best to the worst candidate's value: the same whatever the score's zero and scale) or "se"
            (standard errors of the difference of the two values: what the sample can tell).

    >>> Within.parse("10%"), str(Within.parse("25 % of range")), str(Within.parse("2se"))
    (Within(amount=Decimal('0.1'), unit='best'), '25% of range', '2 se')
    """

    amount: Decimal
    unit: Unit

    @classmethod
    def parse(cls, given: Any) -> Within:
        """The margin given as a number, or as text such as "0.02", "10%", "25% of range" or "2 se".

        Raises:
            ValueError: anything else, or a negative or infinite number.
        """
        if isinstance(given, Within):
            return given
        found = _FORM.fullmatch(str(given).strip())
        if found is None or isinstance(given, bool) or not math.isfinite(amount := Decimal(found["number"])):
            raise ValueError("must be a number, 10%, '25% of range' or '2 se', and not negative")
        sign = found["unit"] or ""
        unit: Unit = "range" if "of" in sign else "best" if sign == "%" else "se" if sign else "score"
        return cls(amount / 100 if "%" in sign else amount, unit)

    def of(self, best: Row, own: Row, *, score: str, values: Sequence[float]) -> Decimal:
        """The largest distance from the best that is allowed, in the score's unit.

        Args:
            best, own: rows of the best model and of the one that is judged.
            score: whose values are compared.
            values: of all candidates.

        Raises:
            GatesError: the unit is standard errors, and a row has no interval.
        """
        if self.unit == "score":
            return self.amount
        if self.unit == "se":
            return self.amount * Decimal(repr(_standard_error(best, own, score)))
        # decimals of the shortest text of each float, as a reader of the record expects
        ends = [Decimal(repr(float(value))) for value in (max(values), min(values))]
        top = Decimal(repr(float(best.scores[score].value or 0.0)))
        return self.amount * (abs(top) if self.unit == "best" else ends[0] - ends[1])

    def __str__(self) -> str:
        sign = _SIGNS[self.unit]
        return f"{float(self.amount * (100 if '%' in sign else 1)):g}{sign}"


#: What else to ask of a ranking that joins a score with trainings or earlier targets.
_RANKS = "joint is made of ranks: ask for --leading-band or --refined-top-k, or for a margin of a score (--score NAME)"


def _standard_error(best: Row, own: Row, score: str) -> float:
    """Of the difference of two means over draws, taken as independent."""
    if best.model == own.model:
        return 0.0
    errors = {row.model: _error(row, score) for row in (best, own)}
    unknown = [model for model, found in errors.items() if found is None]
    if unknown:
        raise GatesError(
            f"margin: {score} of {one_line(', '.join(unknown))} has no interval, so there is no standard error",
            hint=_RANKS
            if score == JOINT
            else "give the margin in another unit, or see acrank score --no-race and --repeats",
        )
    return math.sqrt(math.fsum((found or 0.0) ** 2 for found in errors.values()))


def _error(row: Row, score: str) -> float | None:
    """The standard error of a row's value, as its images tell it, else its draws, else its interval."""
    value, told = row.scores[score], row.details.deviation_of(score)
    if told is not None:
        return told / math.sqrt(row.details.worth_of(score))
    if value.sd is not None:
        return value.sd / math.sqrt(row.details.draws_of(score))
    if value.value is None or value.low is None or value.high is None:
        return None
    return max(value.high - value.value, value.value - value.low) / COMPARISON  # one end may be that of the range
