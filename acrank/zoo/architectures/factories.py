"""Networks from the user's own code, `factory:module:function`, which runs only where that is allowed."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from acrank.errors import CandidateError
from acrank.system.bounds import check_regular
from acrank.system.words import closest
from acrank.zoo.architectures.timm_import import import_timm

if TYPE_CHECKING:
    from torch import nn

    from acrank.zoo.schema import Candidate


def build_from_factory(candidate: Candidate, *, allow_code: bool) -> nn.Module:
    """The network that the candidate's factory returns for its `factory_args`.

    The module is in the manifest's folder, else installed.

    Raises:
        CandidateError: code is not allowed, the module or function is missing, or the factory fails.
    """
    from torch import nn

    module, name = candidate.factory or ("", "")
    if not allow_code:
        text = f"its architecture runs code ({candidate.architecture}), which is not allowed"
        raise CandidateError(text, hint="read that code, then give --allow-code")
    function = _function(_import(module, candidate.folder), name)
    try:
        with _first_on_path(candidate.folder if _is_local(module, candidate.folder) else None):
            model = function(**candidate.factory_args)
    except Exception as error:  # the user's code: whatever it raises skips this candidate
        raise CandidateError(f"{candidate.architecture} failed: {type(error).__name__}: {error}") from error
    if not isinstance(model, nn.Module):
        raise CandidateError(f"{candidate.architecture} returned a {type(model).__name__}, not a torch.nn.Module")
    return model


def _import(module: str, folder: Path) -> ModuleType:
    top = module.partition(".")[0]
    local = _is_local(module, folder)
    known = sys.modules.get(top)
    if local and known is not None and not _lives_in(known, folder):
        text = f"the name of the manifest's module {top!r} is taken by {getattr(known, '__file__', None) or 'Python'}"
        raise CandidateError(text, hint="rename the module")
    if local and (folder / f"{top}.py").exists():
        check_regular(folder / f"{top}.py", CandidateError)
    import_timm()  # so that the user's code can import timm and torchvision, too
    try:
        with _first_on_path(folder if local else None):
            return importlib.import_module(module)
    except Exception as error:  # the user's code runs on import
        text = f"cannot import {module!r} for the factory: {type(error).__name__}: {error}"
        raise CandidateError(text, hint=f"put {top}.py beside the manifest, or install it") from error


def _is_local(module: str, folder: Path) -> bool:
    """Whether the module lies beside the manifest."""
    top = module.partition(".")[0]
    return any((folder / name).exists() for name in (f"{top}.py", top))


def _lives_in(module: ModuleType, folder: Path) -> bool:
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", [])]
    return any(place and folder.resolve() in Path(place).resolve().parents for place in places)


@contextlib.contextmanager
def _first_on_path(folder: Path | None) -> Iterator[None]:
    """Inside this context imports search `folder` first; None changes nothing. What the code inside adds stays."""
    if folder is None:
        yield
        return
    added = str(folder.resolve())
    sys.path.insert(0, added)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if added in sys.path:
            sys.path.remove(added)


def _function(module: ModuleType, name: str) -> Callable[..., Any]:
    function: Callable[..., Any] | None = getattr(module, name, None)
    if callable(function):
        return function
    known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    hint = closest(name, known, f"it has: {', '.join(sorted(known)[:10])}")
    raise CandidateError(f"module {module.__name__!r} has no function {name!r}", hint=hint)
