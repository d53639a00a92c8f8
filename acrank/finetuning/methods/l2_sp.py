"""L2-SP (Li, Grandvalet & Davoine, ICML 2018): weight decay towards the source weights instead of zero."""

from __future__ import annotations

import torch
from torch import Tensor

from acrank.finetuning.methods.method import Method, SourceContext, Step
from acrank.finetuning.network import Network

ALPHA, BETA = 0.1, 0.01  # the most frequent choices from the paper's grids


class L2SP(Method):
    """alpha / 2 |w - w_source|^2 on the trained body and beta / 2 |w|^2 on the head, in place of weight decay."""

    replaces_decay = True

    def begin(self, network: Network, context: SourceContext) -> None:
        """Copy the initial parameters of the body, with AC-Norm those of its target affines."""
        self.source = {name: part.detach().clone() for name, part in _trained(network)}

    def penalty(self, network: Network, step: Step) -> Tensor:
        pulls = [(part - self.source[name]).square().sum() for name, part in _trained(network)]
        decay = [part.square().sum() for part in network.head.parameters()]
        return ALPHA / 2 * torch.stack(pulls).sum() + BETA / 2 * torch.stack(decay).sum()


def _trained(network: Network) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, part) for name, part in network.body.named_parameters() if part.requires_grad]
