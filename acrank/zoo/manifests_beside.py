"""The hint on a manifest that is missing: the manifests that lie in its folder."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

from acrank.errors import ManifestError
from acrank.system.bounds import first_bytes

_MODELS = re.compile(rb"^models:", re.MULTILINE)
#: Files that are looked at, bytes of each, and manifests that are named.
_MOST_FILES, _LOOKED_AT, _NAMED = 200, 2**16, 3


def hint_of_missing(path: Path) -> str:
    """What to do where there is no manifest at a path: name one of those beside it, else have one made."""
    try:
        beside = sorted(one for one in path.parent.iterdir() if one.suffix.lower() in (".yaml", ".yml"))
    except (OSError, ValueError):
        return "check the path: its folder cannot be read"
    found = list(islice(filter(_is_manifest, beside[:_MOST_FILES]), _NAMED))
    if found:
        return f"did you mean {' or '.join(f'--zoo {one}' for one in found)}?"
    return "check the path; `acrank zoo scan FOLDER -o model_zoo.yaml` makes one of checkpoints (docs/own-zoo.md)"


def _is_manifest(path: Path) -> bool:
    try:
        return _MODELS.search(first_bytes(path, _LOOKED_AT, ManifestError)) is not None
    except ManifestError:  # no ordinary file, or none that may be read
        return False
