"""The main flow: a zoo, a target and a protocol in; a ranking out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from acrank.cache import ObservationCache
from acrank.errors import NothingRankedError, TableError, UsageError
from acrank.executors import InProcess, Prefetcher, TaskExecutor, describe_executor, run_tasks
from acrank.ranking.candidates import Prepared, evaluate, may_load_ahead, prepare
from acrank.ranking.summary import with_pool_values
from acrank.records import Ranking, Row
from acrank.settings import LATER, Settings
from acrank.system.machine import is_out_of_memory, pick_device, reason_of, run_environment
from acrank.targets import Target, open_target
from acrank.targets.draws import make_draws
from acrank.zoo import Zoo, load_zoo

if TYPE_CHECKING:
    from acrank.targets.draws import Draw
    from acrank.zoo.schema import Candidate

_Outcome = tuple[Row, list[str]]
#: Above this Kendall tau-b with the ranking under shuffled labels, the ranking is hardly about the target.
LABEL_BLIND = 0.7


def score(
    zoo: Zoo | str | Path,
    target: Target | str | Path,
    settings: Settings | None = None,
    *,
    cache: ObservationCache | None = None,
    resume: Ranking | None = None,
    on_row: Callable[[Ranking, int, int], None] | None = None,
    executor: TaskExecutor | None = None,
) -> Ranking:
    """Rank the candidates of a zoo for a target.

    Args:
        zoo: a manifest's path, or an opened one.
        target: a path that `open_target` understands, or an opened target.
        settings: from `Settings.of`; the one-step protocol by default.
        cache: where observations are kept between runs; None keeps none.
        resume: an earlier ranking with the same settings and target; its scored rows are kept.
        on_row: called after every candidate with the ranking so far, how many are done, and how many there are.
        executor: where candidates are evaluated: one of `acrank.executors` or of `concurrent.futures`; the caller
            shuts it down. None is this process.

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
    run = _Run(zoo, target, settings, cache, executor or InProcess())
    rows = run.kept_from(resume)
    total = len(zoo.candidates)
    with closing(run.rows(skip={row.model for row in rows})) as news:
        for row in news:
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

    def __init__(
        self, zoo: Zoo, target: Target, settings: Settings, cache: ObservationCache | None, executor: TaskExecutor
    ) -> None:
        self.zoo, self.target, self.settings, self.cache = zoo, target, settings.for_task(target.task), cache
        self.executor = executor
        if settings.device not in ("auto", "cpu"):
            pick_device(settings.device)  # one that is not there ends the run, not every candidate
        protocol = self.settings.protocol
        self.draws = make_draws(target, samples=protocol.samples, repeats=protocol.repeats, seed=settings.seed)
        self.environment = run_environment()
        self.about_target = {
            "name": target.name,
            "layout": target.layout,
            "task": target.task,
            "classes": list(target.classes),
            "size": len(target),
            "fingerprint": target.fingerprint,
            "draws": [{"ids": draw.ids, "sha256": draw.digest} for draw in self.draws],
        }

    def rows(self, *, skip: set[str]) -> Generator[Row, None, None]:
        """Evaluate the candidates wherever the executor does, in the order in which they end.

        Raises:
            UsageError: the executor cannot run anything.
        """
        waiting = [candidate for candidate in self.zoo.candidates if candidate.id not in skip]
        with self._task(waiting) as task:
            for candidate, outcome in run_tasks(self.executor, task, waiting):
                if isinstance(outcome, UsageError):
                    raise outcome
                row = _lost(candidate, outcome) if isinstance(outcome, Exception) else self._received(*outcome)
                row.details["entry"] = candidate.digest
                yield row

    @contextmanager
    def _task(self, waiting: Sequence[Candidate]) -> Iterator[Callable[[Candidate], _Outcome]]:
        """What the executor calls with each candidate; in this process, the next one loads meanwhile."""
        task = partial(_evaluate, self.draws, self.settings, self.cache)
        if not (isinstance(self.executor, InProcess) and self.executor.prefetch):
            yield task
            return
        load = partial(prepare, draws=self.draws, settings=self.settings, cache=self.cache)
        with Prefetcher(load, waiting, allowed=may_load_ahead, is_out_of_memory=is_out_of_memory) as prefetcher:
            yield partial(task, prepared=prefetcher.next)

    def _received(self, row: Row, notes: list[str]) -> Row:
        """What another process found out about the target while it read it belongs to this one's target, too."""
        self.target.notes.extend(note for note in notes if note not in self.target.notes)
        return row

    def kept_from(self, earlier: Ranking | None) -> list[Row]:
        """Scored rows of an earlier run whose manifest entry has not changed since."""
        if earlier is None:
            return []
        directions = directions_of(earlier, self.settings)
        pairs = {
            "settings": (_comparable(self.settings.record()), _comparable(earlier.settings)),
            "target": (self.about_target, earlier.target),
            "directions": (directions, {name: earlier.higher_is_better[name] for name in directions}),
        }
        for part, (value, before) in pairs.items():
            changed = sorted(key for key in {*value, *before} if value.get(key) != before.get(key))
            if changed:
                raise TableError(
                    f"cannot resume: {part} differ from the earlier run in {', '.join(changed)}",
                    hint="run without --resume, or with the earlier settings and data",
                )
        entries = {candidate.id: candidate.digest for candidate in self.zoo.candidates}
        return [
            row for row in earlier.rows if row.status == "scored" and entries.get(row.model) == row.details.get("entry")
        ]

    def ranking(self, rows: Sequence[Row]) -> Ranking:
        """The ranking so far, with its controls and warnings."""
        zoo: dict[str, Any] = {"name": self.zoo.path.name, "sha256": self.zoo.sha256}
        if self.zoo.shard:
            zoo.update(shard=self.zoo.shard, candidates=self.zoo.whole)
        return ranking_of(
            rows,
            self.settings,
            zoo=zoo,
            environment={**self.environment, "executor": describe_executor(self.executor)},
            target=self.about_target,
            notes=self.target.notes,
        )


def ranking_of(
    rows: Sequence[Row],
    settings: Settings,
    *,
    zoo: Mapping[str, Any],
    environment: dict[str, Any],
    target: dict[str, Any],
    notes: Sequence[str],
) -> Ranking:
    """The ranking of evaluated rows, with its pool-relative values, controls and warnings; their order is no matter."""
    ordered = sorted(rows, key=lambda row: row.model)  # sums over the pool round alike, whoever was done first
    ranking = Ranking.of(
        with_pool_values(ordered, settings),
        rank_by=settings.rank_by,
        higher_is_better=settings.directions(),
        settings={**settings.record(), "zoo": dict(zoo)},
        environment=environment,
        target=target,
    )
    ranking.controls = controls_of(ranking)
    ranking.warnings = [*notes, *warnings_of(ranking)]
    return ranking


def directions_of(record: Ranking, settings: Settings) -> dict[str, bool]:
    """Whether higher is better in the scores of a record, as this version has it under its settings."""
    return {name: higher for name, higher in settings.directions().items() if name in record.higher_is_better}


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
    uncached = [row.details["cache_failure"] for row in ranking.rows if "cache_failure" in row.details]
    if uncached:
        out.append(f"the cache could not be written for {len(uncached)} of {len(ranking.rows)}: {uncached[0]}")
    return out


def _evaluate(
    draws: Sequence[Draw],
    settings: Settings,
    cache: ObservationCache | None,
    candidate: Candidate,
    prepared: Callable[[], Prepared] | None = None,
) -> _Outcome:
    """The task of an executor: a row, and what is known of the target now that its images were read."""
    return evaluate(candidate, draws, settings, cache, prepared), list(draws[0].target.notes)


def _lost(candidate: Candidate, error: Exception) -> Row:
    """The row of a candidate whose task never came back."""
    return Row(candidate.id, "skipped", reason=reason_of(error), reference=dict(candidate.reference))


def _comparable(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that a value depends on, as they look after a journey through JSON."""
    known = {**LATER, **settings}
    return {name: value for name, value in known.items() if name not in ("zoo", "device", "allow_code", "rank_by")}


def _tau(values: Sequence[float], others: Sequence[float | None]) -> float | None:
    from scipy.stats import kendalltau

    pairs = [(x, y) for x, y in zip(values, others, strict=True) if y is not None]
    if len(pairs) < 2:
        return None
    # what differs by rounding alone is a tie
    left, right = ([float(f"{value:.9g}") for value in side] for side in zip(*pairs, strict=True))
    tau = float(kendalltau(left, right).statistic)
    return None if np.isnan(tau) else tau
