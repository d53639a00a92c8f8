"""Everything a user chooses about a run; every candidate is scored under the same settings."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from acrank.errors import TableError, UsageError
from acrank.scores import SCORES
from acrank.system.memory import bytes_of
from acrank.system.option_fields import MOST_IMAGES, MOST_SEED, Opt, check_options
from acrank.system.plain_data import validated
from acrank.system.protocols import PROTOCOLS
from acrank.system.streams import STREAMS
from acrank.system.words import closest

CONSENSUS = "consensus"
HEADS = ("ridge", "random")
#: Panels of `acrank score --help` beside that of the class.
_RUNNING, _DETAIL = "How to run", "Protocol in detail"
#: What records of earlier versions lack, and what their runs did.
_NEVER: Mapping[str, Any] = dict.fromkeys(("amp", "deterministic", "race", "allow_download"), False)
OLD_RECORD_DEFAULTS: Mapping[str, Any] = {
    **_NEVER,
    **{"streams": 1, "controls": True, "memory": None, "step_samples": None, "untrained": None},
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The choices of a run. Fields that are None are left to the protocol; `for_task` fills them in.

    Attributes:
        protocol: a name in PROTOCOLS.
        scores: names of the scores, in the order of their columns, or "all"; empty for the defaults of the task.
        rank_by: the score that orders the table, or "consensus"; empty for the default of protocol and task.
        samples: images per draw, patches for segmentation; once filled in, None is the whole target.
        repeats: independent draws, at most.
        race: whether a draw after the first is spent on candidates only that may still be the best.
        controls: whether scores of the step get a step on shuffled labels, too, which costs a backward pass.
        untrained: so many untrained twins of each architecture are scored, too, which gives its ranking score a zero
            point; None for none.
        step_size: learning rate of the step, or of the finetuning.
        step_samples: images of a draw on which the step's loss is taken; the head knows all of them.
        head: "ridge" (closed form, cross-fitted) or "random" (seeded linear layer).
        layers: "all", "last" (the last at the smallest resolution), "encoder" (those up to it), or a pattern on names.
        per_channel: divide a layer's AC-Corr by its width.
        statistics: batch-normalisation statistics of the features: "target" (the batch's) or "source" (running ones).
        seed: of sampling, halves, shuffles, heads and scores that draw.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        memory: the most that the process may use, as "4GB"; None takes what is free.
        amp: whether forward passes run in mixed precision (autocast); features are float32 either way.
        deterministic: whether torch may use deterministic algorithms only.
        allow_code, allow_download: whether `factory:` entries may run code, and libraries download their own weights.
        streams: version of the random streams (`acrank.system.streams`).

    Raises:
        UsageError: an unknown word, or a value out of range.

    Example:
        >>> Settings(samples=64).for_task("classification").repeats
        3
    """

    PANEL: ClassVar = "What to score"

    protocol: Annotated[str, Opt(help="official: one epoch, slow.", choices=tuple(PROTOCOLS))] = "one-step"
    scores: Annotated[tuple[str, ...], Opt(help="Names of `acrank scores`, or all.", metavar="NAME,…")] = ()
    rank_by: Annotated[str, Opt(help="Score that orders the table, or consensus.", metavar="NAME")] = ""
    samples: Annotated[
        int | None,
        Opt(help="Images per draw (patches for masks). [one-step: 128, masks: 16; official: all]", least=4, most=10**9),
    ] = None
    repeats: Annotated[
        int | None, Opt(help="Draws, at most; of all with --no-race. [one-step: 3, official: 1]", least=1, most=1000)
    ] = None
    race: Annotated[
        bool,
        Opt(help="Of 16 candidates or more, draw on for the two that may be the best.", flag="--race/--no-race"),
    ] = True
    controls: Annotated[
        bool, Opt(help="Repeat the step on shuffled labels.", flag="--controls/--no-controls", panel=_DETAIL)
    ] = False
    untrained: Annotated[
        int | None,
        Opt(
            help="Score N untrained twins of each architecture, too, as a zero point. [alone: 3]",
            least=1,
            most=100,
            metavar="[N]",
            alone="3",
        ),
    ] = None
    step_size: Annotated[
        float | None, Opt(help="Learning rate. [one-step: 0.1, official: 0.01]", most=1e6, panel=_DETAIL)
    ] = None
    step_samples: Annotated[
        int | None, Opt(help="Images of the step. [one-step: 32]", least=2, most=MOST_IMAGES, panel=_DETAIL)
    ] = None
    head: Annotated[
        str | None, Opt(help="Head that gives the step its loss. [one-step: ridge]", choices=HEADS, panel=_DETAIL)
    ] = None
    layers: Annotated[
        str | None,
        Opt(help="all, last, encoder, or a pattern. [one-step: all, masks: encoder; official: last]", panel=_DETAIL),
    ] = None
    per_channel: Annotated[
        bool | None,
        Opt(
            help="Divide AC-Corr by the width. [one-step: yes, official: no]", flag="--per-channel/--raw", panel=_DETAIL
        ),
    ] = None
    statistics: Annotated[
        str, Opt(help="Whose BatchNorm statistics features have.", choices=("target", "source"), panel=_DETAIL)
    ] = "target"
    seed: Annotated[int, Opt(help="Seed of everything random.", least=0, most=MOST_SEED, panel=_DETAIL)] = 0
    device: Annotated[str, Opt(help="auto, cpu, cuda, cuda:N or mps.", panel=_RUNNING)] = "auto"
    memory: Annotated[
        str | None, Opt(help="Most memory to use, such as 4GB. [what is free]", metavar="SIZE", panel=_RUNNING)
    ] = None
    amp: Annotated[
        bool, Opt(help="Mixed precision: faster on a GPU, other rounding.", flag="--amp/--no-amp", panel=_RUNNING)
    ] = False
    deterministic: Annotated[
        bool, Opt(help="Deterministic algorithms only; a candidate that lacks one is skipped.", panel=_RUNNING)
    ] = False
    allow_code: Annotated[bool, Opt(help="Let the manifest's `factory:` entries run code.", panel=_RUNNING)] = False
    allow_download: Annotated[bool, Opt(help="Let libraries download weights of their own.", panel=_RUNNING)] = False
    streams: int = STREAMS

    def __post_init__(self) -> None:
        check_options(self)
        if self.epochs and self.head not in (None, "random"):
            raise UsageError(f"protocol {self.protocol} trains its own head", hint="leave --head out")
        if self.step_size is not None and not 0 < self.step_size < math.inf:
            raise UsageError(f"--step-size must be positive, got {self.step_size}", hint="try 0.1")
        _ = self.memory is None or bytes_of(self.memory)  # refuses what is no size
        object.__setattr__(self, "scores", tuple(dict.fromkeys(self.scores)))
        for name in (*self.scores, self.rank_by):
            if name not in ("", "all", CONSENSUS, *SCORES) or (name == "all" and name == self.rank_by):
                hint = closest(name, [*SCORES, CONSENSUS], "`acrank scores` lists them")
                raise UsageError(f"unknown score {name!r}", hint=hint)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Settings:
        """The inverse of `record`.

        Raises:
            TableError: something is missing, of another type, or of a later version.

        Example:
            >>> Settings.from_record(Settings(seed=3).record()) == Settings(seed=3)
            True
        """
        known = {**OLD_RECORD_DEFAULTS, **record}
        try:
            found = {field.name: known[field.name] for field in dataclasses.fields(cls)}
            return validated(cls, found)
        except (KeyError, ValueError, UsageError) as error:
            raise TableError(f"its settings cannot be read: {error}", hint="run `acrank score` again") from error

    def for_task(self, task: str) -> Settings:
        """The same with scores, `rank_by` and what is left to the protocol filled in for a target's task.

        Raises:
            UsageError: a chosen score does not support this task, or this protocol does not give it.
        """
        able = [name for name in SCORES if task in SCORES[name].tasks and self._gives(name)]
        usual = [name for name in able if SCORES[name].shown_by_default]
        wanted = [name for name in self.scores if name != "all"]
        for name in [*wanted, *([self.rank_by] if self.rank_by not in ("", CONSENSUS) else [])]:
            if name not in able:
                lacks = f"protocol {self.protocol}" if task in SCORES[name].tasks else f"{task} targets"
                raise UsageError(f"score {name!r} does not support {lacks}", hint=f"choose from {', '.join(able)}")
        protocol = PROTOCOLS[self.protocol]
        names = able if "all" in self.scores else (wanted or usual or able)
        rank_by = self.rank_by or (protocol.rank_by if protocol.rank_by in names else names[0])
        if rank_by not in (*names, CONSENSUS):
            names = [rank_by, *names]
        if self.untrained and (rank_by == CONSENSUS or SCORES[rank_by].pool_relative):
            raise UsageError(
                f"--untrained does not support {rank_by}, which is relative to the pool",
                hint="rank by a score of one candidate",
            )
        usual_values = {**vars(protocol), **(protocol.segmentation if task == "segmentation" else {})}
        left_out = {
            field.name: usual_values[field.name]
            for field in dataclasses.fields(self)
            if getattr(self, field.name) is None and field.name in usual_values
        }
        return dataclasses.replace(self, **left_out, scores=tuple(names), rank_by=rank_by)

    @property
    def epochs(self) -> int:
        """Of the protocol: 0 for a single step."""
        return PROTOCOLS[self.protocol].epochs

    def directions(self) -> dict[str, bool]:
        """For every score of the run, whether higher is better."""
        found = {name: SCORES[name].higher_is_better for name in self.scores}
        return {**found, CONSENSUS: True} if self.rank_by == CONSENSUS else found

    def plan(self) -> Plan:
        """The passes that the scores of this run need; of settings that `for_task` has filled in."""
        needs = {need for name in self.scores for need in SCORES[name].needs}
        moves = bool(needs & {"shifts", "random_head_shifts", "later_gram"})
        return Plan(
            epochs=self.epochs if moves else 0,
            step_size=self.step_size if moves else None,
            layers=self.layers if moves else None,
            step_samples=self.step_samples if moves and not self.epochs else None,
            head=self.head if "shifts" in needs else None,
            shuffled=self.controls and "shifts" in needs,
            bundled_drift="random_head_shifts" in needs,
            statistics=self.statistics,
            decoder_maps="maps" in needs,
            amp=self.amp,
            deterministic=self.deterministic,
        )

    def record(self) -> dict[str, Any]:
        """Plain data for the run record."""
        return {**dataclasses.asdict(self), "scores": list(self.scores), "ac_norm": True, "optimiser": "SGD"}

    def _gives(self, name: str) -> bool:
        return not self.epochs or SCORES[name].after_training


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The passes over a draw that the scores of a run need; passes follow it, cache keys hash it, the record has it.

    Attributes:
        epochs: of AC-Norm finetuning before the affine parameters are read; 0 for a single step.
        step_size: of the step or the finetuning; None where the affine parameters do not move, and features suffice.
        layers: whose affine parameters are read, as in `Settings`; None where none are.
        step_samples: as in `Settings`; None where the step takes all.
        head: of the step on the labels; None where none is needed.
        shuffled: whether a step on shuffled labels is taken, too.
        bundled_drift: whether a step under a random head is taken on the bundled images.
        statistics: batch-normalisation statistics under which features are read.
        decoder_maps: whether the maps of a segmentation network's decoder are read.
        amp, deterministic: as in `Settings`.
    """

    epochs: int
    step_size: float | None
    layers: str | None
    step_samples: int | None
    head: str | None
    shuffled: bool
    bundled_drift: bool
    statistics: str
    decoder_maps: bool
    amp: bool
    deterministic: bool

    @property
    def moves_affines(self) -> bool:
        """Whether the network is wrapped in AC-Norm and its affine parameters move."""
        return self.step_size is not None

    @property
    def source_features(self) -> bool:
        """Whether features take a pass of their own, under the checkpoint's running statistics, beside a step."""
        return self.statistics == "source" and self.moves_affines and not self.epochs
