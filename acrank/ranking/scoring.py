"""The main flow: a zoo, a target and settings in; a ranking out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from acrank.cache import ObservationCache
from acrank.cache.keys import dependencies_of
from acrank.errors import NothingRankedError, UsageError
from acrank.executors import InProcess, Prefetcher, TaskExecutor, describe_executor, run_tasks
from acrank.history import History, as_history
from acrank.history.priors import Book, book_of, with_priors
from acrank.ranking.candidates import PreparedCandidate, may_prefetch, prepare_candidate, score_candidate
from acrank.ranking.examined_target import examine_target
from acrank.ranking.joining import kept_rows, recomputed
from acrank.ranking.racing import (
    Race,
    after_round,
    can_race,
    draws_to_give,
    settings_of_the_race,
)
from acrank.ranking.summary import summarise
from acrank.ranking.zero_point import with_zero_point
from acrank.records import Ranking, Row
from acrank.settings import Settings
from acrank.system.activity import Stage, announce
from acrank.system.bars import bar
from acrank.system.machine import is_out_of_memory, pick_device, reason_of, run_environment
from acrank.targets import Target, open_target
from acrank.targets.draws import Draw
from acrank.targets.understanding import Understanding
from acrank.zoo import Zoo, load_zoo
from acrank.zoo.schema import Candidate


def score(
    zoo: Zoo | str | Path,
    target: Target | str | Path,
    settings: Settings | None = None,
    *,
    cache: ObservationCache | None = None,
    resume: Ranking | None = None,
    on_row: Callable[[Ranking, str, int, int], None] | None = None,
    on_target: Callable[[Understanding], None] | None = None,
    executor: TaskExecutor | None = None,
    history: History | Sequence[str | Path] | str | Path | None = None,
    progress: bool = False,
) -> Ranking:
    """Rank the candidates of a zoo for a target.

    Args:
        zoo: a manifest's path, or an opened one.
        target: a path that `open_target` understands, or an opened target.
        settings: the one-step protocol by default.
        cache: where observations are kept between runs; None keeps none.
        resume: an earlier ranking with the same settings and target; its scored rows are kept.
        on_row: called after every candidate of every round with the ranking so far, the candidate's id, how many are
            done, and how many there are: the first round has all, the others those that may still be the best.
        on_target: called once with what was understood of the target, before any network is loaded.
        executor: where candidates are evaluated: one of `acrank.executors` or of `concurrent.futures`; the caller
            shuts it down. None is this process.
        history: tables of finetuning on earlier targets, or what `read_history` read: the ranking is then by JOINT.
        progress: whether a bar shows what is done: a widget in a notebook that has ipywidgets, else text on stderr.

    Returns:
        The ranking, best first; candidates that failed are skipped rows with a reason.

    Raises:
        ManifestError, TargetError, UsageError: see their messages.
        TableError: `resume` was made from another target or with other settings; `history` cannot be read.
        NothingRankedError: every candidate was skipped; what was recorded was handed to `on_row`.

    Example:
        >>> import tempfile, acrank.demo
        >>> folder = Path(tempfile.mkdtemp()) / "target"
        >>> acrank.demo.make_target(folder, n=60)
        >>> zoo = load_zoo(acrank.demo.zoo_path()).select(["*random*"])
        >>> len(score(zoo, folder, Settings(samples=16, repeats=1)).rows)
        1
    """
    settings = settings or Settings()
    zoo = zoo if isinstance(zoo, Zoo) else load_zoo(zoo)
    target = target if isinstance(target, Target) else open_target(target)
    earlier = as_history(history)
    run = _Run(zoo, target, settings, cache=cache, executor=executor or InProcess())
    run.history, run.book = earlier, book_of(earlier, run.target_record)
    if on_target is not None:
        on_target(run.understanding)
    kept = kept_rows(resume, zoo.candidates, run.settings, target=run.target_record) if resume else []
    run.refining = resume.settings.get("refine") if resume else None
    run.notes = recomputed(resume, kept, zoo.candidates, settings=run.settings) if resume else []
    rows = {row.model: row for row in kept}
    with bar("scoring", shown=progress) as report, closing(run.rows(rows)) as news:
        for row in news:
            rows[row.model] = row
            report(*run.progress, row.model)
            if on_row is not None:
                on_row(run.ranking(list(rows.values())), row.model, *run.progress)
    ranking = run.ranking(list(rows.values()), complete=True)
    if ranking.best is None:
        first = ranking.rows[0]
        raise NothingRankedError(
            f"none of {len(zoo.candidates)} candidates could be scored; {first.model}: {first.reason or 'no value'}",
            hint="the reasons stand in the table and the run record",
            result=ranking,
        )
    return ranking


class _Run:
    """What all candidates of a run share."""

    def __init__(
        self, zoo: Zoo, target: Target, settings: Settings, cache: ObservationCache | None, executor: TaskExecutor
    ) -> None:
        self.zoo, self.cache = zoo, cache
        self.settings = settings.for_task(target.task)
        self.progress = (0, len(zoo.candidates))
        self.kept = 0  # rows of an earlier run
        self.draws_left = 0  # of the race
        self.notes: list[str] = []
        self.history: History | None = None
        self.book: Book | None = None  # what the history says at this target
        self.refining: Any = None  # how rows of an earlier run were trained
        self.executor = executor
        if settings.device not in ("auto", "cpu"):
            pick_device(settings.device)  # one that is not there ends the run, not every candidate
        target, self.draws, self.understanding = examine_target(target, self.settings, cache)
        self.target = target
        self.environment = run_environment()
        self.target_record: dict[str, Any] = {
            "name": target.name,
            "layout": target.layout,
            "task": target.task,
            "classes": list(target.classes),
            "size": len(target),
            "fingerprint": target.fingerprint,
            "draws": [draw.record() for draw in self.draws],
            "understood": self.understanding.record(),
        }

    def rows(self, done: Mapping[str, Row]) -> Generator[Row, None, None]:
        """Score the candidates wherever the executor does, in the order in which they end, in rounds.

        The first round gives every candidate one draw; each later one gives one more draw, for the ranking score
        alone, to those that may still be the best. Without racing there is one round of all draws, and one for rows of
        an earlier run that have fewer.

        Args:
            done: rows so far, by model; the caller adds what is yielded.

        Raises:
            UsageError: the executor cannot run anything.
        """
        racing = self.settings.race and len(self.draws) > 1 and not self.zoo.shard and can_race(self.settings)
        with self._cache_of_rounds(racing) as cache:
            new = {one.id for one in self.zoo.candidates if one.id not in done}
            self.progress, self.kept = (len(done), len(self.zoo.candidates)), len(done)
            self.draws_left = draws_to_give(len(self.zoo.candidates), self.settings) if racing else 0
            yield from self._round(new, self.draws[: 1 if racing else None], self.settings, cache=cache)
            if racing:
                yield from self._race(done, cache)
            else:
                fewer = {model for model in _scored(done) if done[model].details.fewest_draws < len(self.draws)}
                self.progress = (len(self.zoo.candidates), len(self.zoo.candidates) + len(fewer))
                for row in self._round(fewer, self.draws, self.settings, cache=cache):
                    yield after_round(done[row.model], row)

    def _race(self, done: Mapping[str, Row], cache: ObservationCache | None) -> Iterator[Row]:
        """Rounds of one more draw for the candidates that may still be the best, as long as there are draws to give."""
        name, settings = self.settings.rank_by, settings_of_the_race(self.settings)
        race = Race(self.settings, candidates=len(self.zoo.candidates))
        for _ in range(len(self.draws) - 1):
            wanted = race.next_round(list(done.values()))
            known = {model: len(done[model].details.values.get(name, [])) for model in wanted}
            waiting = {model for model in wanted if known[model] < wanted[model]}
            self.progress = (self.progress[0], self.progress[0] + len(waiting))
            self.draws_left = race.left if wanted else 0
            for have, want in sorted({(known[model], wanted[model]) for model in waiting}):
                group = {model for model in waiting if (known[model], wanted[model]) == (have, want)}
                for row in self._round(group, self.draws[have:want], settings, cache=cache):
                    yield after_round(done[row.model], row, name)

    def _round(
        self, models: Collection[str], draws: Sequence[Draw], settings: Settings, *, cache: ObservationCache | None
    ) -> Iterator[Row]:
        """Rows of some candidates on some draws."""
        waiting = [one for one in self.zoo.candidates if one.id in models]
        with self._task(waiting, draws, settings, cache=cache) as task:
            for candidate, outcome in run_tasks(self.executor, task, self._announced(waiting, draws)):
                row = self._row_of(candidate, outcome)
                self.progress = (self.progress[0] + 1, self.progress[1])
                yield row

    def _announced(self, waiting: Sequence[Candidate], draws: Sequence[Draw]) -> Iterator[Candidate]:
        """The candidates, each announced as it is handed to the executor."""
        first, last = draws[0].repeat + 1, draws[-1].repeat + 1
        of = f" of {len(self.draws)}" if len(self.draws) > 1 else ""
        stage = "scoring" if last == 1 or last > first else f"draw {last}{of}:"
        for candidate in waiting:
            done, total = self.progress
            most = total + self.draws_left
            step = Stage(name=stage, what=candidate.id, done=done, total=total, kept=self.kept, most=most, is_main=True)
            announce(step)
            yield candidate

    def _row_of(self, candidate: Candidate, outcome: tuple[Row, list[str]] | Exception) -> Row:
        if isinstance(outcome, UsageError):
            raise outcome
        if isinstance(outcome, Exception):  # the task never came back
            row = Row(candidate.id, "skipped", reason=reason_of(outcome), reference=dict(candidate.reference))
        else:
            row, notes = outcome
            # what another process noted on the target while it read it belongs to this one's target, too
            self.target.notes.extend(note for note in notes if note not in self.target.notes)
        row.details.entry = candidate.digest
        row.details.depends_on = dependencies_of(candidate, weights=row.weights.get("sha256"))
        return row

    @contextmanager
    def _cache_of_rounds(self, racing: bool) -> Iterator[ObservationCache | None]:
        """The cache of the run; where there is none, a temporary one while racing, or for twins, in this process."""
        races = racing and draws_to_give(len(self.zoo.candidates), self.settings) > 0
        needed = races or bool(self.settings.untrained)
        if self.cache is not None or not needed or not isinstance(self.executor, InProcess):
            yield self.cache
            return
        with TemporaryDirectory(prefix="acrank-") as folder:
            yield ObservationCache(Path(folder))

    @contextmanager
    def _task(
        self, waiting: Sequence[Candidate], draws: Sequence[Draw], settings: Settings, *, cache: ObservationCache | None
    ) -> Iterator[Callable[[Candidate], tuple[Row, list[str]]]]:
        """What the executor calls with each candidate; in this process, the next one loads meanwhile."""
        task = partial(_score, draws, settings, cache)
        if not (isinstance(self.executor, InProcess) and self.executor.prefetch):
            yield task
            return
        load = partial(prepare_candidate, draws=draws, settings=settings, cache=cache)
        with Prefetcher(load, waiting, allowed=may_prefetch, is_out_of_memory=is_out_of_memory) as prefetcher:
            yield partial(task, prepared=prefetcher.next)

    def ranking(self, rows: Sequence[Row], *, complete: bool = False) -> Ranking:
        """The ranking so far, with its controls and warnings."""
        zoo: dict[str, Any] = {"name": self.zoo.path.name, "sha256": self.zoo.sha256}
        if self.zoo.shard:
            zoo.update(shard=self.zoo.shard, candidates=self.zoo.whole)
        known, earlier = with_priors(rows, self.book)
        ranking = summarise(
            known,
            self.settings,
            zoo=zoo,
            environment={**self.environment, "executor": describe_executor(self.executor)},
            target=self.target_record,
            notes=[*self.target.notes, *self.notes, *earlier.notes],
            history=None if self.history is None else self.history.record(),
        )
        if self.refining is not None and any(row.refined for row in rows):
            ranking.settings["refine"] = self.refining
        ranking.warnings += earlier.warnings
        ranking.candidates, ranking.complete = len(self.zoo.candidates), complete
        return ranking


def _scored(rows: Mapping[str, Row]) -> set[str]:
    return {model for model, row in rows.items() if row.status == "scored"}


def _score(
    draws: Sequence[Draw],
    settings: Settings,
    cache: ObservationCache | None,
    candidate: Candidate,
    prepared: Callable[[], PreparedCandidate] | None = None,
) -> tuple[Row, list[str]]:
    """The task of an executor: a row, and the notes on the target now that its images were read."""
    row = score_candidate(candidate, draws, settings, cache=cache, prepared=prepared)
    row = with_zero_point(row, candidate, draws, settings=settings, cache=cache)
    return row, list(draws[0].target.notes)
