"""The zoo: the manifest of candidates (light to import), and loading a candidate's network (with torch)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from acrank.zoo.manifest import Candidate, ManifestInput, Zoo, load_zoo

if TYPE_CHECKING:
    from acrank.zoo.loading import LoadedModel, load_candidate

__all__ = ["Candidate", "LoadedModel", "ManifestInput", "Zoo", "load_candidate", "load_zoo"]


def __getattr__(name: str) -> Any:
    if name not in ("LoadedModel", "load_candidate"):
        raise AttributeError(f"module 'acrank.zoo' has no attribute {name!r}")
    from acrank.zoo import loading  # loads torch, which the manifest does not need

    return getattr(loading, name)
