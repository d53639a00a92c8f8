"""The options of a history: what is read of it before a run, and what is added to it after one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from acrank.cli.console import say, warn
from acrank.errors import UsageError
from acrank.system.option_fields import Opt, check_options

if TYPE_CHECKING:
    from acrank.finetuning import Results
    from acrank.history import History
    from acrank.history.appending import Cells
    from acrank.records import Ranking
    from acrank.zoo import Zoo


@dataclass(frozen=True, kw_only=True)
class HistoryOptions:
    """Earlier finetuning results, and where new ones are added."""

    history: Annotated[
        tuple[Path, ...],
        Opt(
            help="Finetuning results of other targets, which join the ranking. Repeatable.",
            metavar="FILE",
            panel="What to score",
        ),
    ] = ()
    append_history: Annotated[
        Path | None,
        Opt(
            help="Add the results of finished trainings to this table, for --history.",
            metavar="FILE",
            panel="Output",
            variable=False,
        ),
    ] = None

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def files(self) -> list[Path]:
        """All files that are read or changed, which no output may replace."""
        return [*self.history, *([self.append_history] if self.append_history else [])]

    def check(self, *, trains: bool) -> History | None:
        """Fail before the work where results could not be added; the history that is read, None where there is none.

        Args:
            trains: whether the run trains anything.

        Raises:
            UsageError: there is nothing to add.
            TableError, OutputError: a file is no history, or cannot be written.
        """
        if self.append_history is not None:
            if not trains:
                raise UsageError("--append-history is for --refine: a score is no training", hint="add --refine")
            from acrank.history.appending import check_appendable

            check_appendable(self.append_history)
        if not self.history:
            return None
        from acrank.history import read_history

        return read_history(self.history)

    def append_refined(self, ranking: Ranking, zoo: Zoo) -> None:
        """Add the short trainings of a ranking."""
        if self.append_history is not None:
            from acrank.history.appending import rows_of_refining

            models = [row.model for row in ranking.rows if row.refined]
            self._append(self.append_history, *rows_of_refining(ranking, weights_digests(zoo, models)))

    def append_finetuned(self, results: Results, zoo: Zoo) -> None:
        """Add the runs of `acrank finetune`."""
        if self.append_history is not None:
            from acrank.history.appending import rows_of_finetuning

            models = {one.model for one in results.outcomes}
            self._append(self.append_history, *rows_of_finetuning(results, weights_digests(zoo, models)))

    def _append(self, path: Path, rows: Sequence[Cells], left_out: Sequence[str]) -> None:
        from acrank.history.appending import append_history

        done = append_history(path, rows, left_out=left_out)
        if done.left_out:
            warn(f"not added to {path}, for want of a complete result: {', '.join(done.left_out)}")
        more = f", in place of {done.replaced}" if done.replaced else ""
        say(f"added to {path}: {done.added} row{'' if done.added == 1 else 's'}{more}")


def weights_digests(zoo: Zoo, models: Iterable[str]) -> dict[str, str]:
    """SHA-256 of the weights of some candidates, where it can be told."""
    from acrank.cache.keys import dependencies_of

    wanted = {*models}
    found = {one.id: dependencies_of(one).get("weights") for one in zoo.candidates if one.id in wanted}
    return {model: digest for model, digest in found.items() if digest}
