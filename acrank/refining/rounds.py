"""The rounds of one treatment: their images, settings and folders in the work folder, and what is finished there."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.finetuning.outcomes import Outcome
from acrank.finetuning.work_folder import WorkFolder
from acrank.refining.plans import Treatment
from acrank.refining.sides import Sides, fewer_images
from acrank.refining.training import Contestant, Round, finished_outcomes
from acrank.system.files import reached
from acrank.zoo import Candidate


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """All rounds whose first one has one treatment; rounds of another one have folders of their own.

    Attributes:
        treatment: of the first round.
        sides: its images.
        settings: of finetuning, with its rates and epochs.
        work_dir: holds a folder for each round.
        seed: of the run.
        candidates: by id.
    """

    treatment: Treatment
    sides: Sides
    settings: FinetuneSettings
    work_dir: Path
    seed: int
    candidates: Mapping[str, Candidate]

    @classmethod
    def of(cls, how: Treatment, sides: Sides, settings: FinetuneSettings, **about: Any) -> Rounds:
        """Those of a treatment.

        Args:
            how: the treatment.
            sides: all images that there are.
            settings: of which the treatment replaces rates and epochs.
            about: `work_dir`, `seed` and `candidates`.
        """
        return cls(
            treatment=how,
            sides=fewer_images(sides, train=how.train, val=how.val, seed=about["seed"]),
            settings=dataclasses.replace(settings, lrs=how.rates, epochs=how.epochs),
            **about,
        )

    @cached_property
    def images(self) -> str:
        """The digest of the images."""
        return self.sides.digest

    def epochs(self, number: int) -> int:
        """Of a round, at each rate."""
        return int(self.settings.epochs * 2 ** (number - 1))

    def entries(self, models: Sequence[str], rates: Mapping[str, float]) -> list[Contestant]:
        """Candidates, those with a rate of their own with that one."""
        return [
            Contestant(candidate=self.candidates[model], rates=(rates[model],) if model in rates else self.settings.lrs)
            for model in models
        ]

    def folder(self, number: int) -> Path:
        """Of a round; another treatment has another one."""
        text = json.dumps(dataclasses.asdict(self.treatment), sort_keys=True)
        return self.work_dir / f"round-{number}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def opened(self, number: int) -> Round:
        """A round without a deadline, whose folder is made where it is missing.

        Raises:
            OutputError, UsageError, TableError: the folder cannot be used, see `WorkFolder`.
        """
        settings = dataclasses.replace(self.settings, epochs=self.epochs(number))
        depends_on = {"settings": settings.record(), "images": self.images}
        folder = WorkFolder(self.folder(number), depends_on, resume=True)
        return Round(number=number, sides=self.sides, settings=settings, folder=folder, seed=self.seed)

    def finished(self, number: int, entries: Sequence[Contestant]) -> dict[str, Outcome]:
        """The outcomes of those whose training in a round is done; no folder is made.

        Raises:
            OutputError, UsageError, TableError: the folder cannot be used, see `WorkFolder`.
        """
        with reached(self.work_dir):
            if not self.folder(number).exists():
                return {}
        return finished_outcomes(self.opened(number), entries)
