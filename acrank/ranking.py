"""The main flow: a zoo, a target and a protocol in; a ranking out."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from acrank.environment import describe, pick_device
from acrank.errors import NothingRankedError, TableError, UsageError
from acrank.protocols import HEADS, Protocol, protocol_named
from acrank.records import Ranking, Row
from acrank.targets import Target, open_target
from acrank.zoo import Zoo, load_zoo

if TYPE_CHECKING:
    from acrank.zoo.schema import Candidate

#: Above this Kendall tau-b with the ranking under shuffled labels, the ranking is hardly about the target.
LABEL_BLIND = 0.7


@dataclass(frozen=True)
class Settings:
    """Everything a user chooses about a run; every candidate is scored under the same.

    Attributes:
        protocol: resolved protocol, overrides included.
        rank_by: the score that orders the table.
        seed: of sampling, halves, shuffles and heads.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        allow_code: whether `factory:` entries may run code.
    """

    protocol: Protocol
    rank_by: str
    seed: int = 0
    device: str = "auto"
    allow_code: bool = False

    @classmethod
    def of(
        cls,
        protocol: str = "one-step",
        *,
        head: str | None = None,
        step_size: float | None = None,
        samples: int | None = None,
        repeats: int | None = None,
        layers: str | None = None,
        per_channel: bool | None = None,
        rank_by: str | None = None,
        seed: int = 0,
        device: str = "auto",
        allow_code: bool = False,
    ) -> Settings:
        """A named protocol with what is given here instead of its own values.

        Raises:
            UsageError: an unknown protocol, head or score, or a value out of range.
        """
        given = {
            "head": head,
            "step_size": step_size,
            "samples": samples,
            "repeats": repeats,
            "layers": layers,
            "per_channel": per_channel,
        }
        base = protocol_named(protocol)
        chosen: Protocol = dataclasses.replace(base, **{name: x for name, x in given.items() if x is not None})  # type: ignore[arg-type]
        settings = cls(chosen, rank_by or chosen.rank_by, seed, device, allow_code)
        settings._check()
        return settings

    def record(self) -> dict[str, Any]:
        """Plain data for the run record."""
        return {**dataclasses.asdict(self), "ac_norm": True, "optimiser": "SGD"}

    def _check(self) -> None:
        protocol = self.protocol
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
        if self.rank_by not in protocol.directions():
            known = ", ".join(protocol.directions())
            raise UsageError(f"protocol {protocol.name} has no score {self.rank_by!r}", hint=f"choose one of {known}")


def score(
    zoo: Zoo | str | Path,
    target: Target | str | Path,
    settings: Settings | None = None,
    *,
    resume: Ranking | None = None,
    on_row: Callable[[Ranking, int, int], None] | None = None,
) -> Ranking:
    """Rank the candidates of a zoo for a target.

    Args:
        zoo: a manifest's path, or an opened one.
        target: a path that `open_target` understands, or an opened target.
        settings: from `Settings.of`; the one-step protocol by default.
        resume: an earlier ranking with the same settings and target; its scored rows are kept.
        on_row: called after every candidate with the ranking so far, how many are done, and how many there are.

    Returns:
        The ranking, best first; candidates that failed are skipped rows with a reason.

    Raises:
        ManifestError, TargetError, UsageError: see their messages.
        TableError: `resume` was made from another target or with other settings.
        NothingRankedError: every candidate was skipped; what was recorded was handed to `on_row`.

    Example:
        >>> import tempfile, acrank.demo
        >>> folder = Path(tempfile.mkdtemp()) / "target"
        >>> acrank.demo.make_target(folder, n=60)
        >>> zoo = load_zoo(acrank.demo.zoo_path()).select(["*random*"])
        >>> len(score(zoo, folder, Settings.of(samples=16, repeats=1)).rows)
        1
    """
    settings = settings or Settings.of()
    zoo = zoo if isinstance(zoo, Zoo) else load_zoo(zoo)
    target = target if isinstance(target, Target) else open_target(target)
    run = _Run(zoo, target, settings)
    rows = run.kept_from(resume)
    total = len(zoo.candidates)
    for row in run.rows(skip={row.model for row in rows}):
        rows.append(row)
        if on_row is not None:
            on_row(run.ranking(rows), len(rows), total)
    ranking = run.ranking(rows)
    if ranking.best is None:
        first = ranking.rows[0]
        raise NothingRankedError(
            f"none of {total} candidates could be scored; {first.model}: {first.reason or 'no value'}",
            hint="the reasons stand in the table and the run record",
        )
    return ranking


class _Run:
    """What all candidates of a run share."""

    def __init__(self, zoo: Zoo, target: Target, settings: Settings) -> None:
        if target.task != "classification":
            raise UsageError(
                f"{target.name} is a {target.task} target; the affine scores need classes",
                hint="give one class per image",
            )
        from acrank.draws import make_draws

        self.zoo, self.target, self.settings = zoo, target, settings
        self.device = pick_device(settings.device)
        protocol = settings.protocol
        self.draws = make_draws(target, samples=protocol.samples, repeats=protocol.repeats, seed=settings.seed)
        self.environment = describe(str(self.device))
        self.about_target = {
            "name": target.name,
            "layout": target.layout,
            "task": target.task,
            "classes": list(target.classes),
            "size": len(target),
            "fingerprint": target.fingerprint,
            "draws": [{"ids": draw.ids, "sha256": target.raw_digest(draw.indices)} for draw in self.draws],
        }

    def rows(self, *, skip: set[str]) -> Iterable[Row]:
        """Evaluate the candidates one by one; nothing of one is left when the next begins."""
        from acrank.evaluation import evaluate

        for candidate in self.zoo.candidates:
            if candidate.id not in skip:
                settings = self.settings
                row = evaluate(
                    candidate,
                    self.draws,
                    settings.protocol,
                    seed=settings.seed,
                    device=self.device,
                    allow_code=settings.allow_code,
                )
                row.details["entry"] = entry_digest(candidate)
                yield row

    def kept_from(self, earlier: Ranking | None) -> list[Row]:
        """Scored rows of an earlier run whose manifest entry has not changed since."""
        if earlier is None:
            return []
        now = {"settings": _comparable(self.settings.record()), "target": self.about_target}
        for part, value in now.items():
            before = _comparable(earlier.settings) if part == "settings" else earlier.target
            changed = sorted(key for key in {*value, *before} if value.get(key) != before.get(key))
            if changed:
                raise TableError(
                    f"cannot resume: {part} differ from the earlier run in {', '.join(changed)}",
                    hint="run without --resume, or with the earlier settings and data",
                )
        entries = {candidate.id: entry_digest(candidate) for candidate in self.zoo.candidates}
        return [
            row for row in earlier.rows if row.status == "scored" and entries.get(row.model) == row.details.get("entry")
        ]

    def ranking(self, rows: Sequence[Row]) -> Ranking:
        """The ranking so far, with its controls and warnings."""
        protocol, rank_by = self.settings.protocol, self.settings.rank_by
        ranking = Ranking.of(
            rows,
            rank_by=rank_by,
            higher_is_better=protocol.directions(),
            settings={**self.settings.record(), "zoo": {"name": self.zoo.path.name, "sha256": self.zoo.sha256}},
            environment=self.environment,
            target=self.about_target,
        )
        ranking.controls = controls_of(ranking)
        ranking.warnings = [*self.target.notes, *warnings_of(ranking)]
        return ranking


def controls_of(ranking: Ranking) -> dict[str, float | None]:
    """Kendall's tau-b, in [-1, 1], between the ranking and what it should not merely repeat; None where undefined.

    `tau_layer_width`: the mean width of the normalisation layers. `tau_no_drift`: the same score before the step.
    `tau_shuffled`: the same score under shuffled labels.
    """
    name = ranking.rank_by
    rows = [row for row in ranking.rows if row.rank is not None]
    sign = 1.0 if ranking.higher_is_better[name] else -1.0
    values = [sign * row.scores[name].value for row in rows]  # type: ignore[operator]
    widths = [float(np.mean([layer["channels"] for layer in row.layers])) if row.layers else None for row in rows]
    still = [row.scores[name].no_drift for row in rows]
    shuffled = [row.scores[name].shuffled for row in rows]
    return {
        "tau_layer_width": _tau(values, widths),
        "tau_no_drift": _tau(values, [None if x is None else sign * x for x in still]),
        "tau_shuffled": _tau(values, [None if x is None else sign * x for x in shuffled]),
    }


def warnings_of(ranking: Ranking) -> list[str]:
    """What a reader of the table must know about the run as a whole."""
    out = []
    blind = ranking.controls.get("tau_shuffled")
    if blind is not None and blind > LABEL_BLIND:
        out.append(
            f"shuffled labels give nearly the same ranking (tau {blind:.2f}): "
            f"{ranking.rank_by} says more about the checkpoints than about this target"
        )
    skipped = [row.model for row in ranking.rows if row.status == "skipped"]
    if skipped:
        out.append(f"{len(skipped)} skipped: {', '.join(skipped[:5])}{', …' if len(skipped) > 5 else ''}")
    return out


def entry_digest(candidate: Candidate) -> str:
    """SHA-256 of a manifest entry as it is resolved, so that a changed entry is scored again."""
    return hashlib.sha256(candidate.model_dump_json(exclude={"folder"}).encode()).hexdigest()


def _comparable(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that a value depends on, as they look after a journey through JSON."""
    return {name: value for name, value in settings.items() if name not in ("zoo", "device", "allow_code", "rank_by")}


def _tau(values: Sequence[float], others: Sequence[float | None]) -> float | None:
    from scipy.stats import kendalltau

    pairs = [(x, y) for x, y in zip(values, others, strict=True) if y is not None]
    if len(pairs) < 2:
        return None
    tau = float(kendalltau([x for x, _ in pairs], [y for _, y in pairs]).statistic)
    return None if np.isnan(tau) else tau
