"""Linear probe: only the head trains, on the candidate's features in eval mode."""

from __future__ import annotations

from acrank.finetuning.methods.method import Method, SourceContext
from acrank.finetuning.network import Network


class LinearProbe(Method):
    """The body is frozen and stays in eval mode: neither its weights nor its running statistics change."""

    def begin(self, network: Network, context: SourceContext) -> None:
        network.body.requires_grad_(False)

    def set_mode(self, network: Network) -> None:
        network.body.eval()
