"""The main flow of finetuning: every candidate by every method, on every split, with every seed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acrank.errors import NothingRankedError, OutputError, TargetError, UsageError
from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.finetuning.image_loader import ImageLoader, Images, Loader
from acrank.finetuning.methods import parse_methods
from acrank.finetuning.outcomes import Outcome, Results
from acrank.finetuning.patch_loader import PatchLoader, Scenes
from acrank.finetuning.runs import Run, Shared
from acrank.finetuning.splits import Part, Partition, make_partition, open_splits
from acrank.finetuning.tasks import METRICS
from acrank.finetuning.work_folder import RunKey, Store
from acrank.system.files import check_writable
from acrank.system.machine import pick_device, reason_of, run_environment
from acrank.targets import Target
from acrank.zoo import Candidate, Zoo, load_zoo
from acrank.zoo.loading import LoadedModel, load_candidate


@dataclass(frozen=True)
class Progress:
    """Where a run is: `done` of `total` epochs are behind, counting those that early stopping saves as done."""

    key: RunKey
    lr: float
    epoch: int
    done: int
    total: int


def finetune(
    zoo: Zoo | str | Path,
    target: Mapping[str, Target] | str | Path,
    methods: Sequence[str] = ("vanilla",),
    settings: FinetuneSettings | None = None,
    *,
    work_dir: Path,
    seeds: int = 1,
    splits: int = 1,
    resume: bool = False,
    save_dir: Path | None = None,
    on_result: Callable[[Results, Outcome], None] | None = None,
    on_epoch: Callable[[Progress], None] | None = None,
) -> Results:
    """Finetune the candidates of a zoo on a target: the ground truth for a ranking.

    For each candidate, method, split and seed, the learning rate with the best validation quality is chosen, and the
    quality of its best epoch on the test split is the ground truth. The same seed and split give every method the same
    images, head and order of batches.

    Args:
        zoo: a manifest's path, or an opened one.
        target: a path, or what `open_splits` returns.
        methods: names of METHODS, combined with `+`.
        settings: None takes the defaults.
        work_dir: keeps finished runs and the state of the unfinished one; made if missing.
        seeds, splits: how many of each.
        resume: go on with what `work_dir` holds; on the CPU the result is the same as without the stop.
        save_dir: where the finetuned networks go, as plain safetensors; None saves none.
        on_result: called after every run with the results so far and its outcome.
        on_epoch: called after every epoch.

    Returns:
        All outcomes; a failed run has a reason and no ground truth, and is tried again on resuming.

    Raises:
        UsageError, ManifestError, TableError, OutputError, TargetError: see their messages.
        NothingRankedError: every run failed; what was recorded was handed to `on_result`.

    Example:
        >>> import tempfile, acrank.demo
        >>> folder = Path(tempfile.mkdtemp())
        >>> acrank.demo.make_target(folder / "target", n=40)
        >>> zoo = load_zoo(acrank.demo.zoo_path()).select(["resnet-shapes"])
        >>> settings = FinetuneSettings(epochs=1, lrs=[0.01])
        >>> results = finetune(zoo, folder / "target", ["linear-probe"], settings, work_dir=folder / "work")
        >>> results.outcomes[0].model, results.outcomes[0].lr
        ('resnet-shapes', 0.01)
    """
    if seeds < 1 or splits < 1:
        raise UsageError(f"{seeds} seeds and {splits} splits", hint="at least one of each")
    settings = settings or FinetuneSettings()
    names = parse_methods(",".join(methods))
    zoo = zoo if isinstance(zoo, Zoo) else load_zoo(zoo)
    parts = dict(target) if isinstance(target, Mapping) else open_splits(target, split_by=settings.split_by)
    if save_dir is not None:
        _make(save_dir)
    flow = _Flow(zoo, parts, names, settings, seeds, splits, save_dir)
    flow.open(work_dir, resume)
    return flow.run(on_result, on_epoch)


class _Flow:
    """What all runs share."""

    def __init__(
        self,
        zoo: Zoo,
        parts: Mapping[str, Target],
        methods: tuple[str, ...],
        settings: FinetuneSettings,
        seeds: int,
        splits: int,
        save_dir: Path | None,
    ) -> None:
        self.zoo, self.parts, self.save_dir = zoo, parts, save_dir
        self.target = next(iter(parts.values()))
        _refuse(parts, splits)
        self.settings = settings = settings.for_task(self.target.task)
        self.device = pick_device(settings.device)
        shares = {"val_share": settings.val_share, "test_share": settings.test_share}
        self.partitions = [
            make_partition(parts, split=split, train_size=settings.train_size, **shares) for split in range(splits)
        ]
        self.keys = [
            RunKey(candidate.id, method, split, seed)
            for candidate in zoo.candidates
            for method in methods
            for split in range(splits)
            for seed in range(seeds)
        ]
        self.epochs_each = len(settings.lrs) * settings.epochs
        self.about_target = {
            "name": self.target.name,
            "classes": list(self.target.classes),
            "parts": {name: _about(part) for name, part in parts.items()},
        }

    def open(self, work_dir: Path, resume: bool) -> None:
        about = {"settings": self.settings.record(), "target": self.about_target, "saves": self.save_dir is not None}
        self.store = Store(work_dir, about, resume=resume)
        entries = {candidate.id: candidate.digest for candidate in self.zoo.candidates}
        found = {key: self.store.outcome(key) for key in self.keys}
        self.outcomes = {
            key: outcome
            for key, outcome in found.items()
            if outcome is not None and outcome.details.get("entry") == entries[key.model]
        }

    def run(
        self, on_result: Callable[[Results, Outcome], None] | None, on_epoch: Callable[[Progress], None] | None
    ) -> Results:
        for candidate in self.zoo.candidates:
            todo = [key for key in self.keys if key.model == candidate.id and key not in self.outcomes]
            for key, outcome in self._outcomes(candidate, todo, on_epoch):
                self.outcomes[key] = outcome
                if on_result is not None:
                    on_result(self.results(), outcome)
        results = self.results()
        if all(outcome.ground_truth is None for outcome in results.outcomes):
            first = results.outcomes[0]
            raise NothingRankedError(
                f"none of {len(results.outcomes)} runs could be finished; {first.model}: {first.reason}",
                hint="the reasons stand above and in the JSON record",
            )
        return results

    def results(self) -> Results:
        """What there is so far, in the order of the plan; then the finished runs that this plan leaves out."""
        planned = [self.outcomes[key] for key in self.keys if key in self.outcomes]
        notes = [note for part in self.parts.values() for note in part.notes]
        settings = {**self.settings.record(), "zoo": {"name": self.zoo.path.name, "sha256": self.zoo.sha256}}
        outcomes = [*planned, *self.store.others(self.keys)]
        return Results(outcomes, settings, run_environment(), self.about_target, list(dict.fromkeys(notes)))

    def _outcomes(
        self, candidate: Candidate, keys: Sequence[RunKey], on_epoch: Callable[[Progress], None] | None
    ) -> Iterator[tuple[RunKey, Outcome]]:
        """The outcomes of one candidate's runs; it is loaded once, and nothing of it is left afterwards."""
        if not keys:
            return
        try:
            loaded = load_candidate(candidate, allow_code=self.settings.allow_code)
            kind = Scenes if self.target.task == "segmentation" else Images
            images = {name: kind(part, loaded) for name, part in self.parts.items()}
        except (TargetError, OutputError):
            raise
        except Exception as error:
            for key in keys:
                yield key, self._failed(key, error)
            return
        for key in keys:
            yield key, self._outcome(key, candidate, loaded, images, on_epoch)

    def _outcome(
        self,
        key: RunKey,
        candidate: Candidate,
        loaded: LoadedModel,
        images: Mapping[str, Images | Scenes],
        on_epoch: Callable[[Progress], None] | None,
    ) -> Outcome:
        started = time.perf_counter()
        chosen = self.partitions[key.split]
        shared = Shared(self.settings, self.store, self.device, self.save_dir, candidate.digest)
        done = self.epochs_each * len(self.outcomes)

        def tell(lr: float, epoch: int, behind: int) -> None:
            if on_epoch is not None:
                on_epoch(Progress(key, lr, epoch, done + behind, self.epochs_each * len(self.keys)))

        try:
            run = Run(key, loaded, self._loaders(chosen, images), self.target, shared)
            outcome = run.finish(tell)
        except (TargetError, OutputError, UsageError):
            raise
        except Exception as error:  # one network's trouble, whatever it is, does not end the others' runs
            return self._failed(key, error)
        outcome.details["seconds"] = round(time.perf_counter() - started, 3)
        self.store.finish(key, outcome)
        return outcome

    def _loaders(self, chosen: Partition, images: Mapping[str, Images | Scenes]) -> dict[str, Loader]:
        by_target = {id(part): images[name] for name, part in self.parts.items()}
        parts = {"train": chosen.train, "val": chosen.val, "test": chosen.test}
        return {name: self._loader(by_target[id(part.target)], part) for name, part in parts.items()}

    def _loader(self, images: Images | Scenes, part: Part) -> Loader:
        return (
            PatchLoader(images, part, self.settings.patches)
            if isinstance(images, Scenes)
            else ImageLoader(images, part)
        )

    def _failed(self, key: RunKey, error: Exception) -> Outcome:
        return Outcome(
            self.target.name,
            key.model,
            key.method,
            key.seed,
            key.split,
            str(self.settings.metric),
            reason=reason_of(error, lower="--batch-size"),
        )


def _refuse(parts: Mapping[str, Target], splits: int) -> None:
    """Raise where the target cannot be finetuned on."""
    first = next(iter(parts.values()))
    for part in parts.values():
        if part.task not in METRICS:
            raise TargetError(
                f"the target's labels are for {part.task}", hint="finetuning needs one class per image, or masks"
            )
        if part.classes != first.classes:
            raise TargetError("the parts of the target have different classes", hint="every class must be in each part")
    if len(first.classes) < 2:
        raise TargetError("the target has one class only", hint="finetuning needs at least two")
    if "val" in parts and splits > 1:
        raise UsageError("the target's own parts are one split", hint="leave out --splits, and give more --seeds")


def _about(part: Target) -> dict[str, Any]:
    return {"images": len(part), "fingerprint": part.fingerprint, "content": part.raw_digest(range(len(part)))}


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {folder}: {error.strerror}", hint="choose another --save-dir") from error
    check_writable(folder / "network.safetensors")
