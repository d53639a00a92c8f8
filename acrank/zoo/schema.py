"""The fields of one model in `model_zoo.yaml`."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, PositiveInt, field_validator
from pydantic import model_validator as check_whole

from acrank.zoo.substitution import check_substitution

_LIBRARY = re.compile(r"(?P<library>torchvision|smp|monai|genesis):(?P<network>[A-Za-z]\w*(?:/[\w.-]+)?)")
_FACTORY = re.compile(r"factory:(?P<module>[A-Za-z_][\w.]*):(?P<function>[A-Za-z_]\w*)")
_LONGEST_NAME = 255  # of a file or folder, on every common file system
_LONGEST_PATH = 2000
_SOURCES = ("hf-hub", "hf_hub", "local-dir", "torchvision")


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _pair(value: Any) -> Any:
    return (value, value) if isinstance(value, int) else _tuple(value)


def _row(value: Any) -> Any:
    return (value,) if isinstance(value, int | float) else _tuple(value)


_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Text = Annotated[str, Field(min_length=1)]
_Square = tuple[PositiveInt, PositiveInt]
_Cube = tuple[PositiveInt, PositiveInt, PositiveInt]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ManifestInput(_Strict):
    """The key `input` of a model; what it leaves out comes from the checkpoint, or is assumed.

    Attributes:
        size: height and width in pixels, or three sizes of a volume; one number in YAML means a square or a cube.
        mean, std: per channel as the network has them, of images scaled to [0, 1]; numbers that can only be of images
            from 0 to 255 are taken as such.
        order: of the colours; None means RGB.
    """

    size: Annotated[_Square | _Cube, BeforeValidator(_pair)] | None = None
    mean: Annotated[tuple[_Finite, ...], BeforeValidator(_row), Field(min_length=1)] | None = None
    std: Annotated[tuple[_Positive, ...], BeforeValidator(_row), Field(min_length=1)] | None = None
    order: Literal["rgb", "bgr"] | None = None


class Candidate(_Strict):
    """One model of a zoo: either `source`, or `architecture` with `weights`. Frozen, comparable and picklable.

    Attributes:
        id: its name in every table; unique in the manifest.
        source: in timm's notation: `resnet50.a1_in1k`, `hf-hub:org/name@revision`, `local-dir:path`; or
            `torchvision:mobilenet_v2` with `weights`, the same as that `architecture`.
        architecture: a timm architecture, `torchvision:mobilenet_v2`, `smp:Unet/resnet34`, `monai:UNet`,
            `genesis:unet3d`, or `factory:module:function`.
        factory_args: keyword arguments of the factory, or of the `torchvision:`, `smp:` or `monai:` network.
        weights: path of a safetensors or torch file with any suffix, relative to the manifest.
        weights_key: of the tensors in the file, such as `state_dict` or `model.ema`.
        keep_prefix: only tensors whose names begin with this are kept; the prefix stays. Applied first.
        strip_prefix: removed from the names that begin with it.
        rename: regular expression -> replacement, applied in order to every name, last.
        sha256: of the file, which is refused if it has another.
        in_chans: channels of the images; the first convolution is adapted where the file has other channels.
        input: size, mean and standard deviation of the input.
        min_match: share of the backbone's parameters that the file must fill, in (0, 1]; without it, all of them.
            Whatever it is, the stem, the tokens and every normalisation layer must be in the file.
        allow_unused: whether the file may hold further layers of the network's body, such as more blocks.
        license: for the reader.
        tags: for selecting candidates.
        reference: published figures, such as an ImageNet accuracy.
        folder: that relative paths start from: the manifest's, which has no such key.

    Example:
        >>> Candidate(id="mine", architecture="resnet18", weights="r18.safetensors", folder=Path("/zoo")).weights_path
        PosixPath('/zoo/r18.safetensors')
    """

    id: _Text
    source: _Text | None = None
    architecture: _Text | None = None
    factory_args: dict[str, JsonValue] = {}
    weights: _Text | None = None
    weights_key: _Text | None = None
    keep_prefix: _Text | None = None
    strip_prefix: _Text | None = None
    rename: dict[str, str] = {}
    sha256: str | None = None
    in_chans: PositiveInt | None = None
    input: ManifestInput = ManifestInput()
    min_match: Annotated[float, Field(gt=0, le=1)] | None = None
    allow_unused: bool = False
    license: str | None = None
    tags: Annotated[tuple[_Text, ...], BeforeValidator(_tuple)] = ()
    reference: dict[str, _Finite] = {}
    folder: Path = Path()

    @field_validator("id")
    @classmethod
    def _printable(cls, value: str) -> str:
        if not value.isprintable() or value != value.strip():
            raise ValueError("must be one line of printable text without spaces at its ends")
        return value

    @field_validator("source")
    @classmethod
    def _timm_source(cls, value: str | None) -> str | None:
        if value is None:
            return None
        kind, colon, name = value.partition(":")
        if colon and (kind not in _SOURCES or not name):
            raise ValueError(f"{value!r} is not a timm name, `hf-hub:org/name` or `local-dir:path`")
        if kind == "torchvision" and not _LIBRARY.fullmatch(value):
            raise ValueError(f"{value!r} is not a name like `torchvision:mobilenet_v2`")
        if not colon and ("/" in value or "\\" in value):
            raise ValueError(
                f"{value!r} looks like a hub repository or a path: write `hf-hub:{value}` or `local-dir:…`"
            )
        if kind != "local-dir" and value.count("@") > (1 if colon else 0):
            raise ValueError(f"{value!r} has a misplaced '@': write `hf-hub:org/name@revision`")
        return value

    @field_validator("architecture")
    @classmethod
    def _architecture(cls, value: str | None) -> str | None:
        known = value is None or _FACTORY.fullmatch(value) or _LIBRARY.fullmatch(value)
        if value is not None and not known and re.search(r"[:/\\\s]", value):
            raise ValueError(f"{value!r} is neither a timm architecture nor `factory:module:function`")
        return value

    @field_validator("source", "weights")
    @classmethod
    def _path(cls, value: str | None) -> str | None:
        if value is not None and "\0" in value:
            raise ValueError("has a NUL character")
        if value is not None and max(len(os.fsencode(part)) for part in value.split("/")) > _LONGEST_NAME:
            raise ValueError(f"has a name of more than {_LONGEST_NAME} bytes, which no file has")
        if value is not None and len(value) > _LONGEST_PATH:
            raise ValueError(f"has more than {_LONGEST_PATH} characters")
        return value

    @field_validator("rename")
    @classmethod
    def _patterns(cls, value: dict[str, str]) -> dict[str, str]:
        for pattern, replacement in value.items():
            check_substitution(pattern, replacement)
        return value

    @field_validator("sha256")
    @classmethod
    def _hash(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", value):
            raise ValueError("must be 64 hexadecimal digits")
        return value.lower() if value else None

    @check_whole(mode="after")
    def _whole(self) -> Self:
        if self.source is None and self.architecture is None:
            raise ValueError("needs `source`, or `architecture` and `weights`")
        by_name = (self.source or "").startswith("torchvision:")
        if by_name and self.weights is None:
            raise ValueError("needs `weights`: torchvision's files are not downloaded")
        if self.source is not None and (self.architecture or (self.weights and not by_name)):
            raise ValueError("has `source`, so it cannot have `architecture` or `weights`")
        if self.architecture is not None and self.weights is None:
            raise ValueError("has `architecture` but no `weights`")
        if self.factory_args and self.factory is None and self.library is None:
            raise ValueError("has `factory_args`, but its architecture is no `factory:module:function`")
        for name in ("mean", "std"):
            values = getattr(self.input, name)
            if values and self.in_chans and len(values) not in (1, self.in_chans):
                raise ValueError(f"input.{name} has {len(values)} values for {self.in_chans} channels")
        return self

    @property
    def factory(self) -> tuple[str, str] | None:
        """Module and function of `factory:module:function`, None for a timm architecture."""
        found = _FACTORY.fullmatch(self.architecture or "")
        return (found["module"], found["function"]) if found else None

    @property
    def library(self) -> tuple[str, str] | None:
        """Library and network of `torchvision:…`, `smp:…`, `monai:…` and `genesis:…`, None otherwise."""
        found = _LIBRARY.fullmatch(self.network)
        return (found["library"], found["network"]) if found else None

    @property
    def weights_path(self) -> Path | None:
        """The weights file, None for a `source`."""
        return self.folder / self.weights if self.weights else None

    @property
    def local_dir(self) -> Path | None:
        """The folder of a `local-dir:` source, None otherwise."""
        kind, _, name = (self.source or "").partition(":")
        return self.folder / name if kind == "local-dir" else None

    @property
    def network(self) -> str:
        """The source or the architecture."""
        return self.source or self.architecture or ""

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest entry as resolved, but for its folder: it changes when the entry changes.

        Keys that are left out do not count, so a later version may have more of them.
        """
        return hashlib.sha256(self.model_dump_json(exclude={"folder"}, exclude_none=True).encode()).hexdigest()
