"""The untrained twin of a candidate: the same architecture with weights drawn as the architecture begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from acrank.zoo.schema import Candidate, ManifestInput

#: What a manifest entry says of its file only.
_NAMES = {"weights_key", "keep_prefix", "strip_prefix", "rename"}
_OF_THE_FILE = _NAMES | {"weights", "sha256", "min_match", "allow_unused"}
_OF_THE_READER = {"id", "folder", "license", "tags", "reference"}


class UntrainedTwin(Candidate):
    """A candidate whose weights are drawn; its file is read for the classes and channels of the network alone.

    Attributes:
        drawn_with: seed of the weights.
        params: of the network, which tells apart what one name may stand for.

    Example:
        >>> one = Candidate(id="mine", source="resnet18.a1_in1k")
        >>> other = Candidate(id="other", source="resnet18.tv_in1k", reference={"accuracy": 70.0})
        >>> shown = {"size": (224, 224), "in_chans": 3, "mean": (0.5,) * 3, "std": (0.5,) * 3}
        >>> twins = [UntrainedTwin.of(each, shown, params=11_689_512, seed=1) for each in (one, other)]
        >>> twins[0].recipe == twins[1].recipe, twins[0].recipe["source"]
        (True, 'resnet18')
    """

    drawn_with: int
    params: int

    @classmethod
    def of(cls, candidate: Candidate, shown: Mapping[str, Any], *, params: int, seed: int) -> Self:
        """The twin of a candidate.

        Args:
            candidate: from the manifest.
            shown: what its network was shown, as `Details.input` has it.
            params: number of its parameters.
            seed: of the weights.
        """
        own = {name: getattr(candidate, name) for name in type(candidate).model_fields}
        sizes = {name: tuple(shown[name]) for name in ("size", "mean", "std")}
        given = ManifestInput(**sizes, order=shown.get("order"))
        return cls(**{**own, "input": given, "in_chans": shown["in_chans"]}, drawn_with=seed, params=params)

    @property
    def is_named(self) -> bool:
        """Whether the manifest names the architecture; else a folder or a hub has it."""
        return not re.match("hf[-_]hub:|local-dir:", self.source or "")

    @property
    def recipe(self) -> dict[str, Any]:
        """What its weights depend on, as plain data: two candidates of one architecture share it."""
        found = self.model_dump(mode="json", exclude=_OF_THE_FILE | _OF_THE_READER)
        if self.source and re.fullmatch(r"\w+\.\w+", self.source):  # timm's name of an architecture and its weights
            found["source"] = self.source.partition(".")[0]
        return found
