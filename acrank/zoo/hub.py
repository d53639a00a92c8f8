"""How timm builds a candidate, and the local file with its weights, downloaded where needed."""

from __future__ import annotations

import inspect
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acrank.errors import CandidateError
from acrank.system.activity import Stage, announce
from acrank.system.bounds import read_bounded
from acrank.system.offline import why_unreachable
from acrank.system.words import closest
from acrank.zoo.architectures.arguments import check_arguments
from acrank.zoo.architectures.timm_import import import_timm

if TYPE_CHECKING:
    from acrank.zoo.schema import Candidate

_FILES = ("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth")
_OPEN_CLIP = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
#: Of timm's configuration of a checkpoint what describes its input and its layers; never where weights lie.
_CFG = (
    *("num_classes", "input_size", "fixed_input_size", "min_input_size", "pool_size", "mean", "std"),
    *("crop_pct", "crop_mode", "interpolation", "first_conv", "classifier"),
)
_LARGEST_CONFIG = 2**20
_LARGEST_SIDE = 8192
_CONFIG_HINT = "correct the file, or build the network with `architecture` and `weights`"
_NETWORK_HINT = "check the network, HF_ENDPOINT and HF_HUB_OFFLINE, or give a downloaded file as `weights`"


@dataclass(frozen=True)
class Recipe:
    """How timm builds a network.

    Attributes:
        architecture: a timm name, with its tag where it has one.
        weights: local file.
        cfg: timm's pretrained configuration of the checkpoint, or of the architecture where the checkpoint has none.
        args: further arguments of the architecture.
        own_cfg: whether `cfg` belongs to this checkpoint.
    """

    architecture: str
    weights: Path
    cfg: dict[str, Any]
    args: dict[str, Any] = field(default_factory=dict)
    own_cfg: bool = True


def resolve_recipe(candidate: Candidate) -> Recipe:
    """The recipe of a candidate that timm builds; downloads the files of a hub source.

    Files of a hub come through huggingface_hub, which honours HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE.

    Raises:
        CandidateError: timm does not know the architecture, there are no weights, or the hub cannot be reached.
    """
    if candidate.weights_path and candidate.architecture:
        cfg = registered_cfg(candidate.architecture)
        return Recipe(candidate.architecture, candidate.weights_path, cfg, own_cfg=False)
    if candidate.local_dir:
        return _described(config_file(candidate.local_dir), weights_in(candidate.local_dir))
    source = candidate.source or ""
    _, colon, name = source.partition(":")
    if colon:
        config = _from_hub(name, ["config.json"])
        return _described(config, _from_hub(name, [*_FILES, *_OPEN_CLIP]))
    cfg = registered_cfg(source)
    return Recipe(source, _registered_file(source, cfg), cfg)


def registered_cfg(name: str) -> dict[str, Any]:
    """timm's pretrained configuration of a name with or without a tag."""
    timm = import_timm()
    architecture = name.partition(".")[0]
    if not timm.models.is_model(architecture):
        hint = closest(architecture, timm.list_models(), "`timm.list_models()` has all names")
        raise CandidateError(f"timm has no architecture {architecture!r}", hint=hint)
    try:
        cfg = timm.models.get_pretrained_cfg(name)
    except RuntimeError as error:
        tags = ", ".join(timm.list_models(f"{architecture}.*", pretrained=True)) or "none"
        raise CandidateError(f"timm has no pretrained weights called {name!r}", hint=f"known: {tags}") from error
    return dict(cfg.to_dict()) if cfg else {}


def _registered_file(name: str, cfg: dict[str, Any]) -> Path:
    if cfg.get("hf_hub_id"):
        named = cfg.get("hf_hub_filename")
        return _from_hub(cfg["hf_hub_id"], [named] if named else _FILES)
    if cfg.get("url"):
        return _from_url(cfg["url"])
    raise CandidateError(f"timm has no pretrained weights for {name!r}", hint="give `architecture` and `weights`")


def _from_hub(repository: str, names: Sequence[str]) -> Path:
    """The first of `names` in the repository, downloaded; `repository` may end in `@revision`.

    Where the hub is switched off or does not answer, only files that were downloaded before are found, at once:
    huggingface_hub itself tries for half a minute, with a line for each attempt.
    """
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    repo, _, revision = repository.partition("@")
    off = "HF_HUB_OFFLINE is set, and it was not downloaded before"
    lacks = off if constants.HF_HUB_OFFLINE else why_unreachable(constants.ENDPOINT)
    how: dict[str, Any] = {"local_files_only": True} if lacks else _announced(repo)
    for name in names:
        try:
            return Path(huggingface_hub.hf_hub_download(repo, name, revision=revision or None, **how))
        except LocalEntryNotFoundError as error:  # not there, and the hub cannot be reached or is switched off
            if not lacks:
                raise _unreachable(f"{name} of {repository}", error.__cause__ or error) from error
        except EntryNotFoundError:
            continue
        except Exception as error:  # the network fails in as many ways as HTTP libraries have exceptions
            raise _unreachable(f"{name} of {repository}", error) from error
    if lacks:
        raise _unreachable(f"{names[0]} of {repository}", OSError(lacks))
    raise CandidateError(f"{repository} has no {' or '.join(names)}", hint="is it a repository that timm can load?")


def _announced(repository: str) -> dict[str, Any]:
    """The option that makes a download announce how far it has come, where this huggingface_hub has one."""
    import huggingface_hub
    from tqdm import tqdm

    class Announcing(tqdm):  # type: ignore[misc]
        def __init__(self, *words: Any, **about: Any) -> None:
            about.pop("name", None)
            super().__init__(*words, **about, file=io.StringIO())

        def display(self, *_: Any, **__: Any) -> None:
            total = None if self.total is None else int(self.total)
            announce(Stage(name="downloading", what=repository, done=int(self.n), total=total, unit="B"))

    known = inspect.signature(huggingface_hub.hf_hub_download).parameters
    return {"tqdm_class": Announcing} if "tqdm_class" in known else {}


def _from_url(url: str) -> Path:
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / url.rpartition("/")[2]
    if not path.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if lacks := why_unreachable(url):
                raise OSError(lacks)
            announce(Stage(name="downloading", what=path.name))
            torch.hub.download_url_to_file(url, str(path), progress=False)
        except Exception as error:  # as above
            raise _unreachable(url, error) from error
    return path


def _unreachable(what: str, error: BaseException) -> CandidateError:
    text = " ".join(str(error).split()) or type(error).__name__
    text = text if len(text) <= 200 else text[:199] + "…"
    return CandidateError(f"cannot get {what}: {text}", hint=_NETWORK_HINT)


def config_file(folder: Path) -> Path:
    """The config.json of a `local-dir:` source.

    Raises:
        CandidateError: there is none.
    """
    path = folder / "config.json"
    if not path.is_file():
        hint = "`local-dir:` reads what `timm.models.save_for_hf` wrote"
        raise CandidateError(f"{folder} has no config.json", hint=hint)
    return path


def weights_in(folder: Path) -> Path:
    """The weights file of a `local-dir:` source: one with a well-known name, else the only one of its suffix.

    Raises:
        CandidateError: there is none, or there are several.
    """
    for name in (*_FILES, *_OPEN_CLIP):
        if (folder / name).is_file():
            return folder / name
    for suffix in (".safetensors", ".pth", ".bin"):
        found = sorted(folder.glob(f"*{suffix}"))
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(path.name for path in found)
            raise CandidateError(f"{folder} has several weights files: {names}", hint="keep one, as model.safetensors")
    raise CandidateError(f"{folder} has no weights file", hint="it should have model.safetensors")


def _described(config: Path, weights: Path) -> Recipe:
    """The recipe that a config.json describes, in timm's layout or its older flat one."""
    try:
        raw = json.loads(read_bounded(config, CandidateError, most=_LARGEST_CONFIG))
        architecture, args = raw["architecture"], raw.get("model_args") or {}
        given = {**raw.get("pretrained_cfg", raw)}
        given["num_classes"] = raw.get("num_classes", given.get("num_classes"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        text = f"{config.name} of {config.parent.name} names no timm architecture"
        raise CandidateError(text, hint="only repositories made with timm can be a source") from error
    where = f"{config.name} of {config.parent.name}"
    if not isinstance(args, dict):
        raise CandidateError(f"{where} has model_args that are no mapping", hint=_CONFIG_HINT)
    cfg = registered_cfg(str(architecture).partition(".")[0])
    given = {key: value for key, value in given.items() if key in _CFG and value is not None}
    check_arguments(args, where)
    check_arguments(given, where)
    _check_cfg(given, where)
    return Recipe(str(architecture), weights, cfg | given, args=dict(args))


def _check_cfg(given: Mapping[str, Any], where: str) -> None:
    """Refuse an input that no network has, before images are made for it."""
    for key, least, most in (("input_size", 1, _LARGEST_SIDE), ("mean", -1e6, 1e6), ("std", 1e-9, 1e6)):
        value = given.get(key)
        if value is None:
            continue
        of_kind = isinstance(value, list) and all(type(one) in (int, float) and least <= one <= most for one in value)
        if not of_kind or (key == "input_size" and (len(value) != 3 or any(type(one) is not int for one in value))):
            raise CandidateError(f"{where} has an impossible {key}: {str(value)[:80]}", hint=_CONFIG_HINT)
