"""Everything a user chooses about a run; every candidate is scored under the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from acrank.errors import TableError, UsageError
from acrank.protocols import HEADS, SEGMENTATION, Protocol, protocol_named
from acrank.scores import SCORES
from acrank.system.streams import STREAMS

CONSENSUS = "consensus"
STATISTICS = ("target", "source")
#: What records of earlier versions lack, and what their runs did.
LATER: Mapping[str, Any] = {"amp": False, "deterministic": False, "streams": 1}


@dataclass(frozen=True)
class Settings:
    """The choices of a run, resolved.

    Attributes:
        protocol: overrides included.
        scores: names of the scores, in the order of their columns; empty for the defaults of the target's task.
        rank_by: the score that orders the table, or "consensus"; empty for the default of protocol and task.
        statistics: batch-normalisation statistics under which features are read: "target" (of the sampled batch) or
            "source" (the checkpoint's running ones).
        seed: of sampling, halves, shuffles, heads and scores that draw.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        allow_code: whether `factory:` entries may run code.
        amp: whether forward passes run in mixed precision (autocast); features are float32 either way.
        deterministic: whether torch may take deterministic algorithms only.
        streams: version of the random streams (`acrank.system.streams`).
        defaulted: names of the protocol's values that the user left to it; a task may have others for them.
    """

    protocol: Protocol
    scores: tuple[str, ...] = ()
    rank_by: str = ""
    statistics: str = "target"
    seed: int = 0
    device: str = "auto"
    allow_code: bool = False
    amp: bool = False
    deterministic: bool = False
    streams: int = STREAMS
    defaulted: tuple[str, ...] = dataclasses.field(default=(), compare=False)

    @classmethod
    def of(
        cls,
        protocol: str = "one-step",
        *,
        scores: Iterable[str] = (),
        rank_by: str = "",
        statistics: str = "target",
        head: str | None = None,
        step_size: float | None = None,
        samples: int | None = None,
        repeats: int | None = None,
        layers: str | None = None,
        per_channel: bool | None = None,
        seed: int = 0,
        device: str = "auto",
        allow_code: bool = False,
        amp: bool = False,
        deterministic: bool = False,
    ) -> Settings:
        """A named protocol with what is given here instead of its own values.

        `scores` may hold names, or "all" for every score that the target's task allows.

        Raises:
            UsageError: an unknown protocol, head or score, or a value out of range.

        Example:
            >>> Settings.of(samples=64).protocol.repeats
            3
        """
        given: dict[str, Any] = {
            "head": head,
            "step_size": step_size,
            "samples": samples,
            "repeats": repeats,
            "layers": layers,
            "per_channel": per_channel,
        }
        base = protocol_named(protocol)
        chosen = dataclasses.replace(base, **{name: x for name, x in given.items() if x is not None})
        _check(chosen, statistics)
        names = tuple(dict.fromkeys(scores))
        for name in (*names, rank_by):
            if name not in ("", "all", CONSENSUS, *SCORES):
                raise UsageError(f"no score {name!r}", hint="`acrank scores` lists them")
        defaulted = tuple(name for name, value in given.items() if value is None)
        return cls(
            chosen, names, rank_by, statistics, seed, device, allow_code, amp, deterministic, defaulted=defaulted
        )

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Settings:
        """The inverse of `record`, for values that only a whole run can say.

        Raises:
            TableError: something is missing, or of a later version.

        Example:
            >>> Settings.from_record(Settings.of(seed=3).record()) == Settings.of(seed=3)
            True
        """
        names = [field.name for field in dataclasses.fields(cls) if field.name != "defaulted"]
        try:
            given = {name: {**LATER, **record}[name] for name in names}
            return cls(**{**given, "protocol": Protocol(**record["protocol"]), "scores": tuple(record["scores"])})
        except (KeyError, TypeError) as error:
            raise TableError(f"its settings cannot be read: {error}", hint="run `acrank score` again") from error

    def for_task(self, task: str) -> Settings:
        """The same with `scores`, `rank_by` and the protocol's own values filled in for a target's task.

        Raises:
            UsageError: a chosen score is not for this task, or not of this protocol.
        """
        able = [name for name in SCORES if task in SCORES[name].tasks and self._gives(name)]
        usual = [name for name in able if SCORES[name].shown_by_default]
        wanted = [name for name in self.scores if name != "all"]
        for name in [*wanted, *([self.rank_by] if self.rank_by not in ("", CONSENSUS) else [])]:
            if name not in able:
                why = f"under protocol {self.protocol.name}" if task in SCORES[name].tasks else f"on a {task} target"
                raise UsageError(f"{name} cannot be had {why}", hint=f"choose from {', '.join(able)}")
        names = able if "all" in self.scores else (wanted or usual or able)
        default = self.protocol.rank_by if self.protocol.rank_by in names else names[0]
        rank_by = self.rank_by or default
        if rank_by not in (*names, CONSENSUS):
            names = [rank_by, *names]
        return dataclasses.replace(self, protocol=self._protocol_for(task), scores=tuple(names), rank_by=rank_by)

    def directions(self) -> dict[str, bool]:
        """For every score of the run, whether higher is better."""
        found = {name: SCORES[name].higher_is_better for name in self.scores}
        return {**found, CONSENSUS: True} if self.rank_by == CONSENSUS else found

    @property
    def takes_step(self) -> bool:
        """Whether any score of the run needs the affines to move."""
        return any(SCORES[name].of_a_step or "later_gram" in SCORES[name].needs for name in self.scores)

    @property
    def steps_on_labels(self) -> bool:
        """Whether any score of the run needs more than the step under a random head."""
        return any("shifts" in SCORES[name].needs for name in self.scores)

    @property
    def reads_maps(self) -> bool:
        """Whether any score of the run needs the maps of a decoder."""
        return any("maps" in SCORES[name].needs for name in self.scores)

    def record(self) -> dict[str, Any]:
        """Plain data for the run record."""
        values = {name: value for name, value in dataclasses.asdict(self).items() if name != "defaulted"}
        return {**values, "scores": list(self.scores), "ac_norm": True, "optimiser": "SGD"}

    def _protocol_for(self, task: str) -> Protocol:
        other = SEGMENTATION.get(self.protocol.name, {}) if task == "segmentation" else {}
        return dataclasses.replace(self.protocol, **{name: x for name, x in other.items() if name in self.defaulted})

    def _gives(self, name: str) -> bool:
        return self.protocol.epochs == 0 or SCORES[name].after_training


def _check(protocol: Protocol, statistics: str) -> None:
    if protocol.head not in HEADS:
        raise UsageError(f"no head {protocol.head!r}", hint=f"choose one of {', '.join(HEADS)}")
    if protocol.epochs and protocol.head != "random":
        raise UsageError(f"protocol {protocol.name} trains its own head", hint="leave --head out")
    if not 0 < protocol.step_size < float("inf"):
        raise UsageError(f"the step size must be positive, not {protocol.step_size}", hint="try 0.1")
    if protocol.samples is not None and protocol.samples < 4:
        raise UsageError(f"{protocol.samples} samples are too few", hint="use at least 4, better 64 or more")
    if protocol.repeats < 1:
        raise UsageError(f"repeats must be at least 1, not {protocol.repeats}", hint="try 3")
    if statistics not in STATISTICS:
        raise UsageError(f"no statistics {statistics!r}", hint="target or source")
