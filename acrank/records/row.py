"""One candidate of a run."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import Any, Literal

from acrank.records.score_value import STRICT, Value, joint_deviation
from acrank.system.words import shortened

#: A row has no more notes.
MOST_NOTES = 100

#: Deviations of untrained twins from their mean that count as their spread.
SPREAD = 2.0


@dataclass(kw_only=True)
class Details:
    """What scoring a candidate took, beside its settings; None where there is nothing to say.

    Attributes:
        draws: how many draws its values are means of; after a race those of the ranking score.
        draws_of_others: how many draws the scores without an entry in `values` are means of, where those are fewer.
        values: of the ranking score, for each draw; no value of a pool-relative one.
        deviations: of the ranking score between draws, as estimated from the images of each draw; None, or no entry,
            where that cannot be done.
        worth: how many independent draws the first one, the first two, ... are worth, as they may share images.
        input: what the network was shown: size, in_chans, mean, std.
        step_size: of the step on the affine parameters.
        device: on which the passes ran.
        precision: what autocast computed in.
        patches: corners of the patches of each draw, and labelled positions of each patch.
        at_once: how many inputs went through the network together; batch statistics are theirs.
        lowered: from how many inputs at a time to how many that was lowered for lack of memory.
        depends_on: digests of its weights and code, and acrank's scheme; a row with others is computed anew.
        cached: whether every observation came from the cache. A resumed run finds there what the interrupted one
            computed and had not recorded.
        took: seconds by part: "load K" until network and images were there (K is the first draw of its round), "draw K"
            for the passes over a draw, "drift" for those over the bundled images, "scores K", and "untrained K" for a
            twin. What the cache gave has the seconds that computing it took. Empty where they are not known.
        cache_failure: why the cache could not be written.
        parts: pool-relative score -> this candidate's part of it, for each draw.
        entry: digest of the manifest entry.
    """

    __pydantic_config__ = STRICT

    draws: int | None = None
    draws_of_others: int | None = None
    values: dict[str, list[float | None]] = field(default_factory=dict)
    deviations: dict[str, list[float | None]] = field(default_factory=dict)
    worth: list[float] = field(default_factory=list)
    input: dict[str, Any] | None = None
    step_size: float | None = None
    device: str | None = None
    precision: str | None = None
    patches: dict[str, Any] | None = None
    at_once: int | None = None
    lowered: dict[str, list[int]] | None = None
    cached: bool | None = None
    took: dict[str, float] = field(default_factory=dict)
    cache_failure: str | None = None
    parts: dict[str, list[Any]] = field(default_factory=dict)
    entry: str | None = None
    depends_on: dict[str, str] | None = None

    def draws_of(self, score: str) -> int:
        """How many draws the value of one score is a mean of."""
        if score in self.values:
            return len(self.values[score])
        return self.fewest_draws

    def deviation_of(self, score: str) -> float | None:
        """The deviation of a score between draws as the images of its draws tell it; None where they do not."""
        return joint_deviation(self.values.get(score, []), self.deviations.get(score, []))

    def worth_of(self, score: str) -> float:
        """How many independent draws those are worth that have a value of the score."""
        draws = len([value for value in self.values.get(score, []) if value is not None]) or self.draws_of(score)
        return self.worth[draws - 1] if draws <= len(self.worth) else float(draws)

    @property
    def fewest_draws(self) -> int:
        """How many draws every score has at least."""
        return self.draws_of_others or self.draws or 1


@dataclass(frozen=True, kw_only=True)
class Prior:
    """What finetuning on earlier targets says of a candidate.

    Attributes:
        value: mean over those targets of the share of the other candidates that it beat there, in [0, 1].
        targets: how many they are, at least 1.
        same_task: how many of them are known to have the task of this one: all, where there is any such target, for
            others do not count then; else 0.
    """

    __pydantic_config__ = STRICT

    value: float
    targets: int
    same_task: int = 0

    @property
    def source(self) -> str:
        """The targets in words.

        >>> Prior(value=0.5, targets=1).source, Prior(value=0.5, targets=3, same_task=3).source
        ('1 earlier target', '3 earlier targets of the same task')
        """
        noun = "1 earlier target" if self.targets == 1 else f"{self.targets} earlier targets"
        return f"{noun} of the same task" if self.same_task else noun


@dataclass(frozen=True, kw_only=True)
class Refined:
    """What a short training of a candidate gave.

    Attributes:
        metric: of the quality; higher is better.
        quality: on the validation images after the last epoch of its last round; None where it failed.
        low, high: 95% interval of the quality; None where there is none.
        epochs: that it was trained in all, at every learning rate.
        rounds: number of its last round.
        learning_rate: of the last round.
        curve: quality after each epoch of the last round.
        seconds: that all of it took.
        reason: why it failed; empty where it did not.
    """

    __pydantic_config__ = STRICT

    metric: str
    quality: float | None
    low: float | None = None
    high: float | None = None
    epochs: int = 0
    rounds: int = 0
    learning_rate: float | None = None
    curve: list[float] = field(default_factory=list)
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ZeroPoint:
    """What the untrained twins of a candidate get: the same architecture with drawn weights, on the same images.

    Attributes:
        score: whose values these are: the one that ranked the run.
        mean: over the twins; None where they have no value.
        sd: standard deviation over them (ddof 1); None with a single twin.
        values: of each twin.
        reason: why there is no value; empty where there is one.
    """

    __pydantic_config__ = STRICT

    score: str
    mean: float | None = None
    sd: float | None = None
    values: list[float] = field(default_factory=list)
    reason: str = ""

    @classmethod
    def of(cls, score: str, values: list[float], *, reason: str = "") -> ZeroPoint:
        """From the values of the twins.

        >>> ZeroPoint.of("s", [1.0, 3.0]).sd == 2**0.5
        True
        """
        mean = statistics.fmean(values) if values else None
        sd = statistics.stdev(values) if len(values) > 1 else None
        return cls(score=score, mean=mean, sd=sd, values=values, reason=reason)

    def reaches(self, value: float, *, higher_is_better: bool) -> bool:
        """Whether a value is within what drawn weights get: no better than their mean by more than two deviations.

        >>> zero = ZeroPoint.of("s", [1.0, 3.0])
        >>> zero.reaches(4.8, higher_is_better=True), zero.reaches(4.9, higher_is_better=True)
        (True, False)
        """
        if self.mean is None:
            return False
        better = value - self.mean if higher_is_better else self.mean - value
        return better <= SPREAD * (self.sd or 0.0)


@dataclass
class Row:
    """One candidate of a run, scored or skipped with a reason.

    Attributes:
        model: the candidate's id in the manifest.
        status: "scored" or "skipped".
        reason: why it was skipped (empty when scored); at most 2000 characters, as each note.
        scores: name of the score -> Value.
        rank: place, from 1; None when not ranked.
        band: from 1; the sample cannot distinguish candidates of a band. None when not known.
        params: number of parameters of the network.
        seconds: wall time that scoring this candidate takes, the sum of `details.took`; loading while another is
            computed adds nothing. Of a skipped one until it failed.
        notes: what a reader should know about this candidate.
        weights: sha256 of the weights and how many tensors matched, were missing and were left over.
        layers: per normalisation layer: name, channels and values after the step (that under the random head where no
            score takes another).
        reference: figures from the manifest, for comparison.
        details: what scoring it took.
        prior: what earlier targets say of it; None where there are none.
        refined: what a short training says of it; None where there was none.
        untrained: what its untrained twins get; None where none were scored.
    """

    __pydantic_config__ = STRICT

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
    prior: Prior | None = None
    refined: Refined | None = None
    untrained: ZeroPoint | None = None

    def __post_init__(self) -> None:
        """Bound what foreign code and files say: a message of theirs may be as long as a tensor."""
        self.reason = shortened(self.reason)
        if len(self.notes) > MOST_NOTES:
            kept = self.notes[: MOST_NOTES - 1]
            self.notes = [*kept, f"{len(self.notes) - len(kept)} more notes are left out"]
        self.notes = [shortened(note) for note in self.notes]

    def __repr__(self) -> str:
        from acrank.records.showing import text_of_row  # which reads rows

        return text_of_row(self)

    @property
    def cost(self) -> float | None:
        """The seconds that scoring it takes; None where an earlier version recorded those of reading the cache."""
        return None if self.details.cached and not self.details.took else self.seconds

    def value(self, score: str) -> float | None:
        """The value of one score, None where the row lacks it or it is undefined (None, NaN, infinite)."""
        found = self.scores.get(score)
        return None if found is None or found.value is None or not math.isfinite(found.value) else found.value
