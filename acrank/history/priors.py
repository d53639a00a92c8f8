"""The priors of a run's candidates: what a history says of each, and what it leaves out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from acrank.history.earlier import EarlierResults, History, is_same_target
from acrank.records import Prior, Row

#: How a warning on results of other weights begins.
OTHER_WEIGHTS = "history: results are of other weights than the candidate has"


@dataclass(frozen=True, kw_only=True)
class Priors:
    """What a history says of the candidates of a run.

    Attributes:
        priors: model -> its prior; no entry for one without results.
        notes: what was used, and what was left out.
        warnings: results of other weights, or none of any candidate.
    """

    priors: Mapping[str, Prior]
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Book:
    """What a history says at one target: worked out once for each candidate, however often it is asked."""

    def __init__(self, history: History, *, name: str = "", digest: str = "", task: str = "") -> None:
        """Part the history into the target at hand and the others.

        Args:
            history: what was read.
            name, digest, task: of the target at hand; empty where they are not known.
        """
        here = frozenset({digest} - {""})
        targets = history.targets
        own = {key: found for key, found in targets.items() if any(is_same_target(one, name, here) for one in found)}
        self.history = history
        self.others = [found for key, found in targets.items() if key not in own and any(one.shares for one in found)]
        self.notes = [f"history: {found[0].target} is left out: {_why(found, digest)}" for found in own.values()]
        task = task.casefold()
        self.is_same = [bool(task) and any(one.task == task for one in found) for found in self.others]
        self.of_task = task
        self._known: dict[tuple[str, str | None], tuple[Prior | None, list[str]]] = {}

    def priors(self, weights: Mapping[str, str | None]) -> Priors:
        """The priors of candidates; see `priors_of`.

        Args:
            weights: the candidates -> SHA-256 of their weights, None where it is not known.
        """
        found = {model: self._of(model, digest) for model, digest in weights.items()}
        warnings = [
            f"{OTHER_WEIGHTS}, and are left out: {model} on {', '.join(where)}"
            for model, (_, where) in found.items()
            if where
        ]
        priors = {model: prior for model, (prior, _) in found.items() if prior is not None}
        notes = [*self.notes]
        if priors:
            notes.append(self._summary(priors, count=len(weights)))
        else:
            files = ", ".join(record["name"] for record in self.history.record())
            warnings.append(f"history: {files} has no results of these candidates on other targets")
        return Priors(priors=priors, notes=notes, warnings=warnings)

    def _of(self, model: str, digest: str | None) -> tuple[Prior | None, list[str]]:
        """The prior of one candidate, and the targets on which it was finetuned from other weights."""
        if (model, digest) not in self._known:
            shares = [_share(found, model, digest) for found in self.others]
            self._known[model, digest] = (_prior(shares, self.is_same), _stale_targets(self.others, model, digest))
        return self._known[model, digest]

    def _summary(self, priors: Mapping[str, Prior], *, count: int) -> str:
        """What was used: how many targets of which tasks, and which of them count for the candidates."""
        files = ", ".join(record["name"] for record in self.history.record())
        targets = _counted(self.others, self.is_same, task=self.of_task)
        note = f"history: {files}: {targets}; {len(priors)} of {count} candidates have results there"
        if not any(self.is_same) or all(self.is_same):  # all that each has count
            return note
        alone = sum(prior.same_task > 0 for prior in priors.values())
        if not alone:
            return f"{note}, none on the same task: those on the other targets count"
        note += f", {alone} on the same task, which alone count for them"
        return (
            note
            if alone == len(priors)
            else f"{note}; for the other {len(priors) - alone} those on the other targets count"
        )


def book_of(history: History | None, target: Mapping[str, Any]) -> Book | None:
    """What a history says at the target of a run; None without one.

    Args:
        history: what was read, or None.
        target: of the run record: `name`, `fingerprint` and `task`.
    """
    if history is None:
        return None
    name, digest, task = (str(target.get(key, "")) for key in ("name", "fingerprint", "task"))
    return Book(history, name=name, digest=digest, task=task)


def with_priors(rows: Sequence[Row], book: Book | None) -> tuple[list[Row], Priors]:
    """The rows of a run with what a history says of them; without one none says anything."""
    if book is None:
        return [row if row.prior is None else dataclasses.replace(row, prior=None) for row in rows], Priors(priors={})
    found = book.priors({row.model: weights_of(row) for row in rows})
    return [dataclasses.replace(row, prior=found.priors.get(row.model)) for row in rows], found


def weights_of(row: Row) -> str | None:
    """SHA-256 of the weights that a row was made from, where it is known."""
    digest = (row.details.depends_on or {}).get("weights") or row.weights.get("sha256")
    return None if digest is None else str(digest)


def priors_of(
    history: History, weights: Mapping[str, str | None], *, name: str = "", digest: str = "", task: str = ""
) -> Priors:
    """The prior of every candidate that has results on earlier targets.

    On each target a candidate has its share of the others that it beat there, meant over the ways of finetuning. Its
    prior is the mean over the targets of the same task, or where it has none of these, over all others. What was
    measured on the target at hand is left out, which its images tell, or its name where those of one of the two are not
    known, and so are results of other weights than the candidate's.

    Args:
        history: what was read.
        weights: the candidates -> SHA-256 of their weights, None where it is not known.
        name, digest, task: of the target at hand; empty where they are not known.

    Example:
        >>> from acrank.comparison.tables import Measurement
        >>> models = {"a": Measurement(0.9), "b": Measurement(0.5)}
        >>> about = {"file": "t.csv", "models": models, "task": "segmentation"}
        >>> history = History(files={}, results=[EarlierResults(target=x, identity=x, **about) for x in "xy"])
        >>> priors_of(history, {"a": None}, name="y", task="segmentation").priors
        {'a': Prior(value=1.0, targets=1, same_task=1)}
    """
    return Book(history, name=name, digest=digest, task=task).priors(weights)


def _why(results: Sequence[EarlierResults], digest: str) -> str:
    if any(digest in one.digests for one in results):
        return "these images are the target at hand"
    return "it has the name of the target at hand, and whether it has other images is not known"


def _stale_targets(targets: Sequence[Sequence[EarlierResults]], model: str, digest: str | None) -> list[str]:
    """The targets on which a model was finetuned from other weights."""
    found = [one.target for results in targets for one in results if _is_stale(one, model, digest)]
    return list(dict.fromkeys(found))


def _is_stale(one: EarlierResults, model: str, digest: str | None) -> bool:
    return digest is not None and one.weights.get(model, digest) != digest


def _share(results: Sequence[EarlierResults], model: str, digest: str | None) -> float | None:
    """The share of a candidate on one target, the mean over the ways of finetuning; None where it has none."""
    found = [one.shares[model] for one in results if model in one.shares and not _is_stale(one, model, digest)]
    return math.fsum(found) / len(found) if found else None


def _prior(shares: Sequence[float | None], is_same: Sequence[bool]) -> Prior | None:
    same, other = (
        [share for share, one in zip(shares, is_same, strict=True) if one is wanted and share is not None]
        for wanted in (True, False)
    )
    used = same or other
    if not used:
        return None
    return Prior(value=math.fsum(used) / len(used), targets=len(used), same_task=len(same))


def _counted(targets: Sequence[Sequence[EarlierResults]], is_same: Sequence[bool], *, task: str) -> str:
    """How many targets are of the task at hand, of others, and of tasks that are not known."""
    same = sum(is_same)
    unknown = sum(not any(one.task for one in found) for found in targets)
    others = len(targets) - same - unknown
    kinds = {"of the same task": same, "of others" if same else "of other tasks": others, "of unknown task": unknown}
    first, *more = [(number, f" {kind}") for kind, number in kinds.items() if number] if task else [(len(targets), "")]
    noun = "earlier target" if first[0] == 1 else "earlier targets"
    return ", ".join([f"{first[0]} {noun}{first[1]}", *(f"{number}{kind}" for number, kind in more)])
