"""Linear probe: the head alone trains, on features as the candidate gives them in inference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acrank.finetuning.methods.method import Method, Start

if TYPE_CHECKING:
    from acrank.finetuning.network import Network


class LinearProbe(Method):
    """The body is frozen and in eval mode: neither its weights nor its running statistics change."""

    def begin(self, network: Network, start: Start) -> None:
        network.body.requires_grad_(False)

    def set_mode(self, network: Network) -> None:
        network.body.eval()
