"""The main flow of finetuning: every candidate by every method, on every split, with every seed."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from acrank.cache.keys import dependencies_of
from acrank.errors import NothingRankedError, OutputError, TargetError, UsageError
from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.finetuning.image_loader import ImageLoader, ImageSource, PartLoader
from acrank.finetuning.methods import parse_methods
from acrank.finetuning.outcomes import Outcome, Results
from acrank.finetuning.patch_loader import PatchLoader, PatchSource
from acrank.finetuning.run_plan import RunPlan, make_plan, run_keys
from acrank.finetuning.runs import Run, RunContext
from acrank.finetuning.saved_networks import check_save_dir
from acrank.finetuning.splits import Part, examine_splits, open_splits
from acrank.finetuning.work_folder import RunKey, WorkFolder, run_key_of
from acrank.system.bars import bar
from acrank.system.machine import pick_device, reason_of, run_environment
from acrank.system.network_input import NetworkInput
from acrank.targets import Target
from acrank.targets.doubts import USUAL_DEVIATION, deviation_warning
from acrank.targets.understanding import Understanding
from acrank.zoo import Candidate, Zoo, load_zoo
from acrank.zoo.loading import load_candidate


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The last finished epoch, and `done` of `total` epochs; epochs that early stopping saves count as done.

    `kept` of those that are done were trained by an earlier process. `epoch` is 0 where a run begins.
    """

    key: RunKey
    lr: float
    epoch: int
    done: int
    total: int
    kept: int = 0


def finetune(
    zoo: Zoo | str | Path,
    target: Mapping[str, Target] | str | Path,
    methods: Sequence[str] = ("vanilla",),
    settings: FinetuneSettings | None = None,
    *,
    work_dir: str | os.PathLike[str],
    seeds: int = 1,
    splits: int = 1,
    resume: bool = False,
    earlier: Iterable[Outcome] = (),
    save_dir: Path | None = None,
    overwrite: bool = False,
    on_result: Callable[[Results, Outcome], None] | None = None,
    on_run: Callable[[Progress], None] | None = None,
    on_epoch: Callable[[Progress], None] | None = None,
    on_target: Callable[[Understanding], None] | None = None,
    progress: bool = False,
) -> Results:
    """Finetune the candidates of a zoo on a target: the ground truth for a ranking.

    For each candidate, method, split and seed, the learning rate with the best validation quality is chosen; the
    ground truth is the quality of its best epoch on the test split. With the same seed and split, all methods get the
    same images, initial head and order of batches.

    Args:
        zoo: an opened zoo, or the path of a manifest.
        target: a path, or the result of `open_splits`.
        methods: names of METHODS, or combinations with `+`.
        settings: None takes the defaults.
        work_dir: holds finished runs and the state of the unfinished one; created if missing.
        seeds, splits: number of each.
        resume: continue the run in `work_dir`; on the CPU the result is identical to that of an uninterrupted run.
        earlier: outcomes of runs that were made elsewhere; they are taken as they are, and not made again.
        save_dir: folder for the finetuned networks, as plain safetensors; None saves none.
        overwrite: whether networks of an earlier run in `save_dir` are replaced; those of a resumed run always are.
        on_result: called after every run with the results so far and its outcome.
        on_run: called before every run.
        on_epoch: called after every epoch.
        on_target: called with what was understood of each part of the target, before any network is loaded.
        progress: whether a bar counts the epochs: a widget in a notebook that has ipywidgets, else text on stderr.

    Returns:
        All outcomes. A failed run has a reason and no ground truth; resuming tries it again.

    Raises:
        UsageError, ManifestError, TableError, OutputError, TargetError: see their messages.
        NothingRankedError: every run failed; `on_result` has received their outcomes.

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
        raise UsageError(f"{seeds} seeds and {splits} splits", hint="give at least one of each")
    settings = settings or FinetuneSettings()
    names = parse_methods(",".join(methods))
    zoo = zoo if isinstance(zoo, Zoo) else load_zoo(zoo)
    targets = dict(target) if isinstance(target, Mapping) else open_splits(target, split_by=settings.split_by)
    if save_dir is not None:
        files = [f"{key.slug}.safetensors" for key in run_keys(zoo, names, seeds=seeds, splits=splits)]
        check_save_dir(save_dir, files, zoo, replace=resume or overwrite)
    targets, understood, leaks = examine_splits(targets)
    for found in understood.values() if on_target is not None else ():
        on_target(found)  # type: ignore[misc]
    plan = make_plan(zoo, targets, names, settings=settings, seeds=seeds, splits=splits)
    device = pick_device(settings.device)
    depends_on = {"settings": plan.settings.record(), "target": plan.target_record, "saves": save_dir is not None}
    folder = WorkFolder(Path(work_dir), depends_on, resume=resume)
    with bar("finetuning", shown=progress) as report:

        def on_step(reached: Progress) -> None:
            report(reached.done, reached.total, f"{reached.key.model}, {reached.key.method}")
            if on_epoch is not None:
                on_epoch(reached)

        flow = _Flow(plan, folder, earlier, device=device, save_dir=save_dir, on_run=on_run, on_epoch=on_step)
        flow.understood, flow.leaks = understood, leaks
        for outcome in flow.run():
            if on_result is not None:
                on_result(flow.results(), outcome)
    results = flow.results()
    if all(outcome.ground_truth is None for outcome in results.outcomes):
        first = results.outcomes[0]
        raise NothingRankedError(
            f"none of {len(results.outcomes)} runs could be finished; {first.model}: {first.reason}",
            hint="the reasons stand above and in the JSON record",
            result=results,
        )
    return results


class _Flow:
    """The runs of a plan that neither the work folder nor the caller has yet."""

    def __init__(
        self,
        plan: RunPlan,
        folder: WorkFolder,
        earlier: Iterable[Outcome],
        *,
        device: torch.device,
        save_dir: Path | None,
        on_run: Callable[[Progress], None] | None,
        on_epoch: Callable[[Progress], None],
    ) -> None:
        self.plan, self.folder, self.device, self.save_dir = plan, folder, device, save_dir
        self.on_run, self.on_epoch = on_run, on_epoch
        self.understood: Mapping[str, Understanding] = {}
        self.leaks: Sequence[str] = ()
        self.odd_values: dict[str, str] = {}
        self.entries = {candidate.id: _digest_of(candidate) for candidate in plan.zoo.candidates}
        given = {run_key_of(outcome): outcome for outcome in earlier}
        found = {key: folder.outcome(key) for key in plan.keys if key not in given}
        self.outcomes = {key: given[key] for key in plan.keys if key in given} | {
            key: outcome
            for key, outcome in found.items()
            if outcome is not None and outcome.details.get("entry") == self.entries[key.model]
        }
        self.kept = plan.epochs_per_run * len(self.outcomes)
        stale = dict.fromkeys(key.model for key, one in found.items() if one is not None and key not in self.outcomes)
        self.notes = [f"recomputed: {model} (its manifest entry, weights or code changed)" for model in stale]

    def run(self) -> Iterator[Outcome]:
        """The outcomes of what is left to do, one by one."""
        for candidate in self.plan.zoo.candidates:
            todo = [key for key in self.plan.keys if key.model == candidate.id and key not in self.outcomes]
            for key, outcome in self._run_candidate(candidate, todo):
                self.outcomes[key] = outcome
                yield outcome

    def results(self) -> Results:
        """All outcomes so far, in the order of the plan; then the finished runs that this plan leaves out."""
        plan = self.plan
        planned = [self.outcomes[key] for key in plan.keys if key in self.outcomes]
        notes = [*(note for target in plan.targets.values() for note in target.notes), *self.notes]
        notes += [text for found in self.understood.values() for text in found.warnings]
        notes += [*self.leaks, *self.odd_values.values()]
        understood = {name: found.record() for name, found in self.understood.items()}
        return Results(
            [*planned, *self.folder.unplanned(plan.keys)],
            settings={**plan.settings.record(), "zoo": {"name": plan.zoo.path.name, "sha256": plan.zoo.sha256}},
            environment=run_environment(),
            target={**plan.target_record, "understood": understood},
            warnings=list(dict.fromkeys(notes)),
        )

    def _run_candidate(self, candidate: Candidate, keys: Sequence[RunKey]) -> Iterator[tuple[RunKey, Outcome]]:
        """The outcomes of one candidate's runs; it is loaded once, and freed afterwards."""
        if not keys:
            return
        try:
            loaded = load_candidate(
                candidate,
                allow_code=self.plan.settings.allow_code,
                allow_download=self.plan.settings.allow_download,
            )
            kind = PatchSource if self.plan.target.task == "segmentation" else ImageSource
            memory = self.plan.settings.memory
            sources = {id(target): kind(target, loaded, memory) for target in self.plan.targets.values()}
        except (TargetError, OutputError):
            raise
        except Exception as error:
            yield from ((key, self._failed(key, error)) for key in keys)
            return
        self._hold_values(candidate.id, loaded.input)
        context = RunContext(
            loaded=loaded,
            entry=self.entries[candidate.id],
            target=self.plan.target,
            settings=self.plan.settings,
            folder=self.folder,
            device=self.device,
            save_dir=self.save_dir,
        )
        for key in keys:
            yield key, self._run(key, sources, context)

    def _hold_values(self, model: str, network_input: NetworkInput) -> None:
        """Remember a warning where the values that reach a network have an unusual standard deviation."""
        low, high = USUAL_DEVIATION
        for found in self.understood.values():
            reached = found.values and found.values.normalised(network_input.mean, network_input.std)
            if reached and not low <= reached.deviation <= high:
                self.odd_values[model] = deviation_warning(reached.deviation, [model])

    def _run(self, key: RunKey, sources: Mapping[int, ImageSource | PatchSource], context: RunContext) -> Outcome:
        started = time.perf_counter()
        epochs_before = self.plan.epochs_per_run * len(self.outcomes)
        total = self.plan.epochs_per_run * len(self.plan.keys)

        def reached(lr: float, epoch: int, done: int, *, resumed: int = 0) -> Progress:
            done, kept = epochs_before + done, self.kept + resumed
            return Progress(key=key, lr=lr, epoch=epoch, done=done, total=total, kept=kept)

        if self.on_run is not None:
            self.on_run(reached(self.plan.settings.lrs[0], 0, 0))
        try:
            parts: dict[str, Part] = vars(self.plan.partitions[key.split])  # train, val and test
            loaders = {name: self._loader(sources[id(part.target)], part) for name, part in parts.items()}
            run = Run(key, loaders, context)
            outcome = run.finish(lambda *place: self.on_epoch(reached(*place, resumed=run.resumed)))
            self.kept += run.resumed
        except (TargetError, OutputError, UsageError):
            raise
        except Exception as error:  # any error of one network must not end the runs of the others
            return self._failed(key, error)
        outcome.details["seconds"] = round(time.perf_counter() - started, 3)
        self.folder.save_outcome(key, outcome)
        return outcome

    def _loader(self, source: ImageSource | PatchSource, part: Part) -> PartLoader:
        if isinstance(source, PatchSource):
            return PatchLoader(source, part, self.plan.settings.patches)
        return ImageLoader(source, part)

    def _failed(self, key: RunKey, error: Exception) -> Outcome:
        return Outcome(
            **vars(key),
            dataset=self.plan.target.name,
            metric=str(self.plan.settings.metric),
            reason=reason_of(error),
        )


def _digest_of(candidate: Candidate) -> str:
    """SHA-256 of a candidate's manifest entry, weights and code: whatever its outcomes depend on."""
    whole = {"entry": candidate.digest, **dependencies_of(candidate)}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
