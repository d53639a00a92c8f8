"""What a network takes as input."""

from __future__ import annotations

from dataclasses import dataclass

from acrank.errors import CandidateError


@dataclass(frozen=True, kw_only=True)
class NetworkInput:
    """Spatial sizes, channels and normalisation of a network's input.

    Attributes:
        size: height and width in pixels; three sizes for a network that takes volumes.
        channels: of the first layer.
        mean, std: per channel as the network has them, of images scaled to [0, 1]; `std` positive.
        order: of the colours: "rgb" or "bgr".

    Raises:
        CandidateError: mean and std do not fit the channels, a std is not positive, or an order of other channels.
    """

    size: tuple[int, ...]
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    order: str = "rgb"

    def __post_init__(self) -> None:
        means, deviations = len(self.mean), len(self.std)
        if not means == deviations == self.channels:
            has = f"{means} means and {deviations} standard deviations"
            text = f"the network takes {self.channels} channels but has {has}"
            raise CandidateError(text, hint="give one mean and one std per channel")
        if not all(value > 0 for value in self.std):
            raise CandidateError(f"the network's std is {list(self.std)}", hint="every std must be positive")
        if self.order != "rgb" and self.channels != 3:
            text = f"input.order is {self.order}, and the network takes {self.channels} channels"
            raise CandidateError(text, hint="leave the order out")
