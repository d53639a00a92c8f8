"""The record that a run would replace: one that says more is kept, and the run says so and fails."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from acrank.cli.outputs import partial_path
from acrank.errors import OutputError, TableError
from acrank.system.files import is_there

if TYPE_CHECKING:
    from acrank.records import Ranking
    from acrank.targets import Target

HINT = "name another -o, or give --overwrite"


@dataclass(frozen=True, kw_only=True)
class EarlierRecord:
    """What the record says that lies where a run will be written.

    Attributes:
        path: of it; None where none is there, or none that can be read.
        ranked: how many candidates it ranks.
        trained: for how many it has a short training.
        target: the name of its target.
        fingerprint: of that.
    """

    path: Path | None = None
    ranked: int = 0
    trained: int = 0
    target: str = ""
    fingerprint: str = ""

    @classmethod
    def among(cls, outputs: tuple[Path, ...]) -> EarlierRecord:
        """That of the outputs of a run."""
        from acrank.records import Ranking

        found = next((path for path in outputs if path.suffix == ".json" and is_there(path)), None)
        try:
            record = Ranking.load(found) if found else None
        except TableError:  # whatever it is, it is no better record
            record = None
        if found is None or record is None:
            return cls()
        ranked, trained = said_by(record)
        target, fingerprint = (str(record.target.get(key, "")) for key in ("name", "fingerprint"))
        return cls(path=found, ranked=ranked, trained=trained, target=target, fingerprint=fingerprint)

    def check(self, target: Target, candidates: int, *, trains: bool, keeps_rows: bool) -> None:
        """Refuse a run that is known to say less before anything is computed.

        Args:
            target, candidates: of the run.
            trains: whether it has short trainings.
            keeps_rows: whether it goes on from the record.

        Raises:
            OutputError: the record is of another target, ranks more than the run has candidates, or has trainings.
        """
        if self.path is None or not self.ranked:
            return
        if self.target not in ("", target.name) and self.fingerprint != target.fingerprint:
            raise OutputError(
                f"{self.path} is of another target, {self.target!r}, and this is {target.name!r}", hint=HINT
            )
        if candidates < self.ranked:
            raise OutputError(f"{self.path} ranks {self.ranked} candidates, and this run has {candidates}", hint=HINT)
        plural = "s" if self.trained > 1 else ""
        if self.trained and not (trains or keeps_rows):
            raise OutputError(
                f"{self.path} has {self.trained} short training{plural}, and this run would have none",
                hint=f"add --resume, or --refine; or {HINT}",
            )

    def says_more_than(self, ranking: Ranking) -> bool:
        """Whether it ranks more candidates, or has more trainings."""
        ranked, trained = said_by(ranking)
        return ranked < self.ranked or trained < self.trained

    def refuse_less(self, ranking: Ranking, *, is_beside: bool) -> None:
        """Refuse a run that says less than the record, which is kept.

        Args:
            ranking: of the run.
            is_beside: whether it was written beside the record.

        Raises:
            OutputError: it says less.
        """
        if self.path is None or not self.says_more_than(ranking):
            return
        ranked, trained = said_by(ranking)
        words = f"{self.ranked} ranked" + (f", {self.trained} trained" if self.trained else "")
        less = f"{ranked} ranked" + (f", {trained} trained" if self.trained else "")
        beside = f", and this run is in {partial_path(self.path)}" if is_beside else ""
        raise OutputError(f"{self.path} is kept, for it says more: {words} (this run: {less}){beside}", hint=HINT)


def said_by(record: Ranking) -> tuple[int, int]:
    """How many candidates it ranks, and for how many it has the quality of a short training."""
    ranked = sum(row.rank is not None for row in record.rows)
    return ranked, sum(row.refined is not None and row.refined.quality is not None for row in record.rows)
