"""The work folder: what makes a run of many hours safe to kill at any moment.

    settings.json       what every result in the folder depends on
    <run>.json          a finished run; its being there is what "finished" means
    <run>.pt            an unfinished run after its last epoch; gone once it is finished

Each file is written whole or not at all, so that a run is finished once or not at all.
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

from acrank.errors import OutputError, TableError, UsageError
from acrank.finetuning.outcomes import Outcome
from acrank.system.files import atomic_write

VERSION = 1
_LONGEST = 80


@dataclasses.dataclass(frozen=True)
class RunKey:
    """Which run: candidate, method, split and seed."""

    model: str
    method: str
    split: int
    seed: int

    @property
    def slug(self) -> str:
        """A file name without suffix, another one for every key.

        >>> RunKey("a/b", "ac-norm", 0, 1).slug
        'a_b-c14cddc0__ac-norm__split0__seed1'
        """
        plain = re.sub(r"[^A-Za-z0-9._-]", "_", self.model)[:_LONGEST].replace("__", "_")
        if plain != self.model:
            plain += "-" + hashlib.sha256(self.model.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        return f"{plain}__{self.method}__split{self.split}__seed{self.seed}"


class Store:
    """A work folder, opened.

    Args:
        folder: made where it is missing.
        about: what every result depends on; plain data.
        resume: whether to go on with what is there.

    Raises:
        OutputError: the folder cannot be made or written.
        UsageError: it holds an earlier run and `resume` is off.
        TableError: it holds a run with other settings, or is damaged.
    """

    def __init__(self, folder: Path, about: dict[str, Any], *, resume: bool) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make {folder}: {error.strerror}", hint="choose another --work-dir") from error
        about = json.loads(json.dumps({"version": VERSION, **about}))
        path = folder / "settings.json"
        if path.exists():
            self._refuse(path, about, resume)
        else:
            atomic_write(path, json.dumps(about, indent=1, ensure_ascii=False) + "\n")
        for left in folder.glob(".acrank-*"):  # of a write that was killed
            left.unlink()

    def _refuse(self, path: Path, about: dict[str, Any], resume: bool) -> None:
        if not resume:
            raise UsageError(
                f"{self.folder} holds an earlier run",
                hint="go on with --resume, or name another --work-dir, or delete it",
            )
        before = _json(path)
        changed = sorted(name for name in {*before, *about} if before.get(name) != about.get(name))
        if changed:
            raise TableError(
                f"cannot resume: {', '.join(changed)} differ from the earlier run in {self.folder}",
                hint="use the earlier settings and data, or another --work-dir",
            )

    def outcome(self, key: RunKey) -> Outcome | None:
        """The finished run, None where there is none.

        Raises:
            TableError: the file is damaged.
        """
        path = self._path(key, ".json")
        return _outcome(path) if path.exists() else None

    def others(self, keys: Iterable[RunKey]) -> list[Outcome]:
        """Finished runs beyond `keys`, sorted by name: of an earlier, larger plan."""
        planned = {self._path(key, ".json").name for key in keys} | {"settings.json"}
        return [_outcome(path) for path in sorted(self.folder.glob("*.json")) if path.name not in planned]

    def finish(self, key: RunKey, outcome: Outcome) -> None:
        """Keep a finished run and forget its checkpoint."""
        text = json.dumps(dataclasses.asdict(outcome), indent=1, ensure_ascii=False, allow_nan=False)
        atomic_write(self._path(key, ".json"), text + "\n")
        self._path(key, ".pt").unlink(missing_ok=True)

    def save(self, key: RunKey, state: dict[str, Any]) -> None:
        """Keep the state of an unfinished run."""
        import torch

        buffer = io.BytesIO()
        torch.save(state, buffer)
        atomic_write(self._path(key, ".pt"), buffer.getvalue())

    def load(self, key: RunKey) -> dict[str, Any] | None:
        """The state of an unfinished run, None where there is none.

        Raises:
            TableError: the file is damaged.
        """
        import torch

        path = self._path(key, ".pt")
        if not path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise TableError(f"{path} is damaged: {error}", hint="delete it: that run begins anew") from error
        return state

    def _path(self, key: RunKey, suffix: str) -> Path:
        return self.folder / (key.slug + suffix)


def _json(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TableError(f"{path} is damaged: {error}", hint="delete it, or the whole work folder") from error
    return found


def _outcome(path: Path) -> Outcome:
    try:
        return Outcome(**_json(path))
    except TypeError as error:
        raise TableError(f"{path} is not a finished run: {error}", hint="delete it: that run begins anew") from error
