"""The work folder: finished runs and the state of the unfinished one, so that finetuning can be killed at any moment.

    settings.json       everything that the results in the folder depend on
    <run>.json          the outcome of a finished run; a run is finished when this file exists
    <run>.pt            the state of an unfinished run after its last epoch; deleted when the run is finished

Each file is written atomically.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import pickle
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from acrank.errors import TableError, UsageError
from acrank.finetuning.outcomes import Outcome, check_outcome
from acrank.system.bounds import read_bounded
from acrank.system.files import atomic_write, make_folder, reached
from acrank.system.plain_data import check_plain, validated

VERSION = 1
_LONGEST = 80  # characters of a model's name in a file name


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunKey:
    """Identifies a run."""

    model: str
    method: str
    seed: int
    split: int

    @property
    def slug(self) -> str:
        """A file name without suffix, unique to this key.

        >>> RunKey(model="a/b", method="ac-norm", split=0, seed=1).slug
        'a_b-c14cddc0__ac-norm__split0__seed1'
        """
        plain = re.sub(r"[^A-Za-z0-9._-]", "_", self.model)[:_LONGEST].replace("__", "_")
        if plain != self.model:
            plain += "-" + hashlib.sha256(self.model.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        return f"{plain}__{self.method}__split{self.split}__seed{self.seed}"


def run_key_of(outcome: Outcome) -> RunKey:
    """The key of the run that an outcome is of."""
    return RunKey(model=outcome.model, method=outcome.method, split=outcome.split, seed=outcome.seed)


class WorkFolder:
    """An opened work folder.

    Args:
        path: created if missing.
        depends_on: everything that the results depend on, as plain data.
        resume: allow a folder that holds an earlier run.

    Raises:
        OutputError: the folder cannot be created or written.
        UsageError: it holds an earlier run and `resume` is off, or JSON files of somebody else.
        TableError: it holds a run with other settings, or is damaged.
    """

    def __init__(self, path: Path, depends_on: dict[str, Any], *, resume: bool) -> None:
        self.path = path
        make_folder(path)
        with reached(self.path):
            self._open(json.loads(json.dumps({"version": VERSION, **depends_on})), resume=resume)

    def _open(self, depends_on: dict[str, Any], *, resume: bool) -> None:
        path, settings = self.path, self.path / "settings.json"
        if not settings.exists():
            if foreign := min(path.glob("*.json"), default=None):
                raise UsageError(
                    f"{path} is no work folder: {foreign.name} is there without settings.json",
                    hint="name another --work-dir",
                )
            atomic_write(settings, json.dumps(depends_on, indent=1, ensure_ascii=False) + "\n")
        elif not resume:
            raise UsageError(
                f"{path} holds an earlier run",
                hint="resume it with --resume, choose another --work-dir, or delete it",
            )
        elif changed := _changed(_read_json(settings), depends_on):
            raise TableError(
                f"cannot resume: {', '.join(changed)} differ from the earlier run in {path}",
                hint="use the earlier settings and data, or another --work-dir",
            )
        for leftover in path.glob(".acrank-*"):  # temporary files of a write that was killed
            leftover.unlink()

    def outcome(self, key: RunKey) -> Outcome | None:
        """The outcome of a finished run, else None.

        Raises:
            TableError: the file is damaged, or of another run.
        """
        path = self._file(key, ".json")
        with reached(self.path):
            found = _read_outcome(path) if path.exists() else None
        if found and run_key_of(found) != key:
            raise TableError(f"{path} is of another run: {found.model}", hint="delete it: that run starts again")
        return found

    def unplanned(self, keys: Iterable[RunKey]) -> list[Outcome]:
        """Outcomes of an earlier, larger plan that are not among `keys`, sorted by file name."""
        planned = {self._file(key, ".json").name for key in keys} | {"settings.json"}
        with reached(self.path):
            return [_read_outcome(path) for path in sorted(self.path.glob("*.json")) if path.name not in planned]

    def save_outcome(self, key: RunKey, outcome: Outcome) -> None:
        """Write the outcome of a finished run and delete its state."""
        text = json.dumps(dataclasses.asdict(outcome), indent=1, ensure_ascii=False, allow_nan=False)
        atomic_write(self._file(key, ".json"), text + "\n")
        with reached(self.path):
            self._file(key, ".pt").unlink(missing_ok=True)

    def save_state(self, key: RunKey, state: dict[str, Any]) -> None:
        """Write the state of an unfinished run."""
        import torch

        buffer = io.BytesIO()
        torch.save(state, buffer)
        atomic_write(self._file(key, ".pt"), buffer.getvalue())

    def load_state(self, key: RunKey) -> dict[str, Any] | None:
        """The state of an unfinished run, or None.

        Raises:
            TableError: the file is damaged.
        """
        import torch

        path = self._file(key, ".pt")
        with reached(self.path):
            if not path.exists():
                return None
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise TableError(f"{path} is damaged: {error}", hint="delete it: that run starts again") from error
        return state

    def _file(self, key: RunKey, suffix: str) -> Path:
        return self.path / (key.slug + suffix)


def _changed(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs, with the names within it: `settings (epochs, seeds)`."""
    found = []
    for name in _differing(before, now):
        one, other = before.get(name), now.get(name)
        inner = ", ".join(_differing(one, other)) if isinstance(one, dict) and isinstance(other, dict) else ""
        found.append(f"{name} ({inner})" if inner else name)
    return found


def _differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(read_bounded(path, TableError))
        check_plain(found)
        if not isinstance(found, dict):
            raise ValueError("it is no mapping")
    except (TableError, ValueError, RecursionError) as error:
        raise TableError(f"{path} is damaged: {error}", hint="delete it, or the whole work folder") from error
    return found


def _read_outcome(path: Path) -> Outcome:
    try:
        found = validated(Outcome, _read_json(path))
        check_outcome(found)
    except ValueError as error:
        raise TableError(f"{path} is not a finished run: {error}", hint="delete it: that run starts again") from error
    return found
