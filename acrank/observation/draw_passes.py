"""The passes of a plan over the draws of one candidate, each in parts that fit into memory."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from acrank.observation.batches import Batch
from acrank.observation.features import DenseReader, Reader, decoder_maps, in_mixed_precision
from acrank.observation.layer_hooks import LayerTrace
from acrank.observation.one_epoch import finetune_one_epoch
from acrank.observation.one_step import array_of, refuse_infinite, take_one_step, wrap_in_ac_norm
from acrank.observation.part_passes import in_order, late_layers, watched_layers
from acrank.observation.part_size import MOST, bytes_of_parameters, inputs_of_a_step, part_size
from acrank.scores.inputs import LayerShift, MapRows, Observation
from acrank.settings import Plan, Settings
from acrank.system.machine import channels_last, mixed_dtype, seeded
from acrank.system.memory import free_memory
from acrank.system.streams import Purpose, seed_of
from acrank.zoo.loading import LoadedModel

Array = npt.NDArray[np.float32]
#: What the loss is multiplied by in float16, as `torch.amp.GradScaler` begins.
LOSS_SCALE = 2.0**16


class DrawPasses:
    """The passes of a plan.

    Args:
        plan: of the run.
        loaded: the network and its input; it is moved to the device.
        settings: of the run.
        device: where they run.
        part: the most inputs that may go through together; None for what the network's memory allows.

    Attributes:
        model: the network; AC-Norm layers may have replaced its own.
        used: inputs that go through together; None before a pass.
        lowered: from how many inputs to how many that was lowered for lack of memory, in any pass; None in none.
    """

    def __init__(
        self, plan: Plan, loaded: LoadedModel, *, settings: Settings, device: torch.device, part: int | None
    ) -> None:
        self.plan, self.device, self.seed = plan, device, settings.seed
        self._memory, self._part = settings.memory, part
        is_2d = len(loaded.input.size) == 2
        self.model: nn.Module = channels_last(loaded.model.to(device)) if is_2d else loaded.model.to(device)
        is_float16 = plan.amp and mixed_dtype(device) == torch.float16
        self.loss_scale = LOSS_SCALE if is_float16 else 1.0  # bfloat16 has the exponents of float32, and needs none
        self.used: int | None = None
        self._late: list[str] | None = None
        self._is_wrapped = False
        self.lowered: tuple[int, int] | None = None

    def wrap(self) -> list[str]:
        """Wrap the network in AC-Norm; returns notes on what was left without it.

        Its graph is another one then: how many inputs go through together is measured anew, so that what moves does
        not depend on which passes came before.
        """
        self.model, left_out = wrap_in_ac_norm(self.model)
        self.used, self._is_wrapped = None, True
        return left_out

    def moved(self, batch: Batch) -> Observation:
        """One step, or one epoch, on the affine parameters of an AC-Norm model."""
        plan = self.plan
        assert plan.step_size is not None  # noqa: S101 - for the type checker
        assert plan.layers is not None  # noqa: S101 - for the type checker
        if plan.epochs:
            return self._one_epoch(batch, plan.step_size, plan.layers)
        parts = self._parts(batch)
        return take_one_step(
            self.model,
            batch.inputs,
            batch.labels.flatten().to(self.device),
            classes=batch.classes,
            half=batch.half.to(self.device),
            permutation=batch.permutation.to(self.device),
            step_size=plan.step_size,
            head=plan.head,
            layers=plan.layers,
            seed=seed_of(Purpose.HEAD, self.seed, batch.repeat),
            read=self._reader(batch),
            rows=batch.rows(),
            loss_scale=self.loss_scale,
            parts=parts,
            shuffled=plan.shuffled,
            random_head=False,
            step_inputs=plan.step_samples,
            late=self._late,
        )

    def drift(self, batches: Sequence[Batch]) -> tuple[LayerShift, ...]:
        """Shifts of the layers after a step under a random head on each batch, one batch after the other.

        They depend on the checkpoint alone: not on the target, nor on the seed of the run.
        """
        plan = self.plan
        assert plan.step_size is not None  # noqa: S101 - for the type checker
        assert plan.layers is not None  # noqa: S101 - for the type checker
        found: list[LayerShift] = []
        for batch in batches:
            seen = take_one_step(
                self.model,
                batch.inputs,
                batch.labels.flatten().to(self.device),
                classes=batch.classes,
                half=batch.half.to(self.device),
                permutation=batch.permutation.to(self.device),
                step_size=plan.step_size,
                head=None,
                layers=plan.layers,
                seed=seed_of(Purpose.HEAD, 0, batch.repeat),
                read=self._reader(batch),
                loss_scale=self.loss_scale,
                gram=False,
                parts=self._parts(batch),
            )
            found += seen.random_head_shifts
        return tuple(found)

    def still(self, batch: Batch) -> Observation:
        """Features and logits alone: no step, no AC-Norm; batch-normalisation statistics as the plan says."""
        features, logits = self._features(batch, batch_statistics=self.plan.statistics == "target")
        return Observation(
            labels=(batch.labels if batch.groups is None else batch.labels.flatten()).numpy(),
            half=batch.half.numpy(),
            permutation=batch.permutation.numpy(),
            features=features,
            logits=logits,
        )

    def source_features(self, batch: Batch) -> tuple[Array, Array | None] | None:
        """Features and logits under the source's own statistics, where the plan has them beside a step."""
        return self._features(batch, batch_statistics=False) if self.plan.source_features else None

    @torch.no_grad()
    def decoder_maps(self, batch: Batch) -> tuple[MapRows, ...] | None:
        """Rows of the decoder's maps, where the plan has them; read before AC-Norm, which changes a map's values."""
        if not self.plan.decoder_maps or batch.positions is None:
            return None
        _freeze(self.model, batch_statistics=self.plan.statistics == "target")
        size = tuple(batch.inputs.shape[2:])
        parts = self._parts(batch)
        found = []
        for part in parts:
            reader = DenseReader(batch.positions[part].to(self.device), size)
            found.append(decoder_maps(self.model, batch.inputs[part].to(self.device), reader))
        each = batch.positions.shape[1]
        return tuple(_joined(rows, parts, each) for rows in zip(*found, strict=True))

    @torch.no_grad()
    def _features(self, batch: Batch, *, batch_statistics: bool) -> tuple[Array, Array | None]:
        _freeze(self.model, batch_statistics=batch_statistics)
        parts = self._parts(batch)
        read = self._reader(batch)
        found = [read(self.model, batch.inputs[part].to(self.device), part) for part in parts]
        features = in_order([one[0] for one in found], parts)
        refuse_infinite(features)
        logits = [one[1] for one in found if one[1] is not None]
        return array_of(features), array_of(in_order(logits, parts)) if logits else None

    def _one_epoch(self, batch: Batch, step_size: float, layers: str) -> Observation:
        if self.used is None:
            self._use(min(self._of_a_step(batch), self._part or batch.step), wanted=batch.step)
        return finetune_one_epoch(
            self.model,
            batch.inputs,
            batch.labels,
            half=batch.half,
            permutation=batch.permutation,
            classes=batch.classes,
            step_size=step_size,
            layers=layers,
            seed=seed_of(Purpose.ONE_EPOCH, self.seed, batch.repeat),
            device=self.device,
            read=self._reader(batch),
            batch_size=batch.step,
            at_once=self.used,
            loss_scale=self.loss_scale,
        )

    def _of_a_step(self, batch: Batch) -> int:
        """How many inputs of a training step go through together."""
        network = copy.deepcopy(self.model).train().requires_grad_(True)
        read, some = self._reader(batch), batch.inputs[:2]
        # the copy that is trained, its gradients and its momentum
        free = max(0, free_memory(self.device, self._memory) - 3 * bytes_of_parameters(network))
        with seeded(0, self.device):
            return inputs_of_a_step(
                network,
                some,
                lambda few: read(network, few.to(self.device), torch.arange(len(few))),
                count=batch.step,
                free=free,
            )

    def _reader(self, batch: Batch) -> Reader:
        read = batch.reader(self.device)
        return in_mixed_precision(read, mixed_dtype(self.device)) if self.plan.amp else read

    def _parts(self, batch: Batch) -> list[Tensor]:
        """The parts of a batch; how large they may be is measured on the first."""
        if self.used is None:
            read = self._reader(batch)
            first = batch.parts(min(2, self._part or MOST))[0]  # one, where even two were too many

            layers = watched_layers(self.model)

            def run(some: Tensor) -> object:
                with torch.enable_grad(), LayerTrace(layers) as trace:
                    features, logits = read(self.model, some.to(self.device), first[: len(some)])
                if self._is_wrapped and self.plan.layers is not None:
                    self._late = late_layers(features, trace, layers, wanted=self.plan.layers)
                return features, logits

            free = free_memory(self.device, self._memory)
            sizes = part_size(self.model, batch.inputs[first], run, free=free)
            self._use(min(sizes.fitting, self._part or MOST), wanted=sizes.wanted)
        assert self.used is not None  # noqa: S101 - for the type checker
        return batch.parts(self.used)

    def _use(self, count: int, *, wanted: int) -> None:
        self.used = count
        if count < wanted and self.lowered is None:
            self.lowered = (wanted, count)


def _joined(found: Sequence[MapRows], parts: Sequence[Tensor], each: int) -> MapRows:
    """The rows of one map over all parts, in the order of the batch; each patch has so many labels."""
    features = np.concatenate([one.features for one in found])
    patches = np.concatenate([part.numpy()[one.patches] for one, part in zip(found, parts, strict=True)])
    rows = np.concatenate(
        [part.numpy()[one.rows // each] * each + one.rows % each for one, part in zip(found, parts, strict=True)]
    )
    order = np.argsort(rows, kind="stable")
    return MapRows(features[order], rows[order], patches[order])


def _freeze(model: nn.Module, *, batch_statistics: bool) -> None:
    """Nothing of the network is random; batch normalisation takes the batch's statistics, or its own."""
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.training = batch_statistics
