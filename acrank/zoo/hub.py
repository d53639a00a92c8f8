"""What timm needs to build a candidate, and the local file with its weights, downloaded where it must be."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acrank.errors import CandidateError
from acrank.zoo.architectures.timm_import import import_timm

if TYPE_CHECKING:
    from acrank.zoo.schema import Candidate

_FILES = ("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth")
_OPEN_CLIP = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_NETWORK_HINT = "check the network, HF_ENDPOINT and HF_HUB_OFFLINE, or give a downloaded file as `weights`"


@dataclass(frozen=True)
class Recipe:
    """How timm builds a network.

    Attributes:
        architecture: a timm name, with its tag where it has one.
        weights: local file.
        cfg: timm's pretrained configuration; of the architecture where the checkpoint brings none.
        args: arguments of the architecture that the checkpoint was made with.
        own_cfg: whether `cfg` speaks of this checkpoint, or only of the architecture in general.
    """

    architecture: str
    weights: Path
    cfg: dict[str, Any]
    args: dict[str, Any] = field(default_factory=dict)
    own_cfg: bool = True


def resolve(candidate: Candidate) -> Recipe:
    """The recipe of a candidate that timm builds; downloads what a hub source needs.

    Files of a hub come through huggingface_hub, which honours HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE.

    Raises:
        CandidateError: unknown to timm, no weights, or not reachable.
    """
    if candidate.weights_path and candidate.architecture:
        cfg = _registered(candidate.architecture)
        return Recipe(candidate.architecture, candidate.weights_path, cfg, own_cfg=False)
    if candidate.local_dir:
        return _described(config_file(candidate.local_dir), weights_in(candidate.local_dir))
    source = candidate.source or ""
    kind, colon, name = source.partition(":")
    if colon and kind != "local-dir":
        config = _from_hub(name, ["config.json"])
        return _described(config, _from_hub(name, [*_FILES, *_OPEN_CLIP]))
    cfg = _registered(source)
    return Recipe(source, _registered_file(source, cfg), cfg)


def _registered(name: str) -> dict[str, Any]:
    """timm's configuration of a name, with or without tag."""
    timm = import_timm()
    architecture = name.partition(".")[0]
    if not timm.models.is_model(architecture):
        close = difflib.get_close_matches(architecture, timm.list_models(), n=3)
        hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "`timm.list_models()` has all names"
        raise CandidateError(f"timm has no architecture {architecture!r}", hint=hint)
    try:
        cfg = timm.models.get_pretrained_cfg(name)
    except RuntimeError as error:
        tags = ", ".join(timm.list_models(f"{architecture}.*", pretrained=True)) or "there is none"
        raise CandidateError(f"timm has no pretrained weights called {name!r}", hint=f"there are: {tags}") from error
    return dict(cfg.to_dict()) if cfg else {}


def _registered_file(name: str, cfg: dict[str, Any]) -> Path:
    if cfg.get("hf_hub_id"):
        named = cfg.get("hf_hub_filename")
        return _from_hub(cfg["hf_hub_id"], [named] if named else _FILES)
    if cfg.get("url"):
        return _from_url(cfg["url"])
    raise CandidateError(f"timm has no pretrained weights for {name!r}", hint="give `architecture` and `weights`")


def _from_hub(repository: str, names: Sequence[str]) -> Path:
    """The first of `names` that the repository has, in the local cache; `repository` may end in `@revision`."""
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    repo, _, revision = repository.partition("@")
    for name in names:
        try:
            return Path(huggingface_hub.hf_hub_download(repo, name, revision=revision or None))
        except LocalEntryNotFoundError as error:  # not cached, and the hub is out of reach or switched off
            cause = error.__cause__ or error
            raise CandidateError(f"cannot get {name} of {repository}: {_line(cause)}", hint=_NETWORK_HINT) from error
        except EntryNotFoundError:
            continue
        except Exception as error:  # the network fails in as many ways as HTTP libraries have exceptions
            raise CandidateError(f"cannot get {name} of {repository}: {_line(error)}", hint=_NETWORK_HINT) from error
    raise CandidateError(f"{repository} has no {' or '.join(names)}", hint="is it a repository that timm can load?")


def _from_url(url: str) -> Path:
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / url.rpartition("/")[2]
    if not path.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), progress=False)
        except Exception as error:  # as above
            raise CandidateError(f"cannot get {url}: {_line(error)}", hint=_NETWORK_HINT) from error
    return path


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:199] + "…"


def config_file(folder: Path) -> Path:
    """The config.json of a `local-dir:` source."""
    path = folder / "config.json"
    if not path.is_file():
        raise CandidateError(
            f"{folder} has no config.json", hint="`local-dir:` reads what `timm.models.save_for_hf` wrote"
        )
    return path


def weights_in(folder: Path) -> Path:
    """The weights file of a `local-dir:` source: a well-known name first, else the only one of its suffix."""
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
    """The recipe that a config.json describes: timm's layout, or its older flat one."""
    timm = import_timm()
    try:
        raw = json.loads(config.read_text(encoding="utf-8"))
        architecture, args = raw["architecture"], raw.get("model_args") or {}
        given = {**raw.get("pretrained_cfg", raw)} | (
            {"num_classes": raw["num_classes"]} if "num_classes" in raw else {}
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        text = f"{config.name} of {config.parent.name} names no timm architecture"
        raise CandidateError(text, hint="only repositories made with timm can be a source") from error
    cfg = _registered(str(architecture).partition(".")[0])
    known = {item.name for item in dataclasses.fields(timm.models.PretrainedCfg)}
    cfg |= {key: value for key, value in given.items() if key in known and value is not None}
    return Recipe(str(architecture), weights, cfg, dict(args))
