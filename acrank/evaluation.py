"""One candidate, from its manifest entry to its row: a plain function of picklable data, run wherever it suits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from acrank.draws import BatchSpec, Draw
from acrank.epoch import finetune_one_epoch
from acrank.errors import AcrankError
from acrank.observation import observe, prepare_model
from acrank.protocols import Protocol
from acrank.records import Row, Value
from acrank.scores.affine import ac_corr, affine_drift, channel_alignment, gradient_norm
from acrank.shifts import LayerShift
from acrank.zoo.checkpoints import load_candidate
from acrank.zoo.schema import Candidate

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


@dataclass(frozen=True)
class Measures:
    """What one draw gave: each score, the same before the step, and under shuffled labels; and the layers' shifts."""

    values: dict[str, float | None]
    no_drift: dict[str, float | None]
    shuffled: dict[str, float | None]
    layers: list[LayerShift]


def evaluate(
    candidate: Candidate,
    draws: Sequence[Draw],
    protocol: Protocol,
    *,
    seed: int,
    device: torch.device,
    allow_code: bool,
) -> Row:
    """Load a candidate, observe it on every draw, and return its row.

    Whatever fails is the reason of a skipped row: one candidate's failure never ends a run. KeyboardInterrupt passes.
    """
    started = time.perf_counter()
    try:
        row = _scored(candidate, draws, protocol, seed=seed, device=device, allow_code=allow_code)
    except Exception as error:
        row = Row(candidate.id, "skipped", reason=reason_of(error))
    row.reference = dict(candidate.reference)
    row.seconds = round(time.perf_counter() - started, 4)
    return row


def reason_of(error: Exception) -> str:
    """Why a candidate was skipped, in one line.

    >>> reason_of(MemoryError())
    'out of memory (lower --samples, or the input size in the manifest)'
    """
    text = " ".join(str(error).split())
    if isinstance(error, AcrankError):
        return f"{text} ({error.hint})" if error.hint else text
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(sign in text for sign in _OUT_OF_MEMORY):
        return "out of memory (lower --samples, or the input size in the manifest)"
    return f"{type(error).__name__}: {text}"


def _scored(
    candidate: Candidate,
    draws: Sequence[Draw],
    protocol: Protocol,
    *,
    seed: int,
    device: torch.device,
    allow_code: bool,
) -> Row:
    loaded = load_candidate(candidate, allow_code=allow_code)
    params = sum(part.numel() for part in loaded.model.parameters())
    model, left = prepare_model(loaded.model)
    model.to(device)
    spec = BatchSpec(loaded.size, loaded.in_chans, loaded.mean, loaded.std)
    measure: Callable[..., Measures] = _after_epoch if protocol.epochs else _after_step
    found = [measure(model, draw, draw.batch(spec), protocol, seed=seed, device=device) for draw in draws]
    return Row(
        candidate.id,
        "scored",
        scores={name: _value(name, found) for name in protocol.directions()},
        params=params,
        notes=[*loaded.notes, *left, *_untouched_note(found[0].layers)],
        weights=loaded.weights,
        layers=_layer_records(found),
        details={"input": vars(spec), "step_size": protocol.step_size},
    )


def _after_step(
    model: torch.nn.Module, draw: Draw, inputs: torch.Tensor, protocol: Protocol, *, seed: int, device: torch.device
) -> Measures:
    seen = observe(
        model,
        inputs.to(device),
        torch.from_numpy(draw.labels).to(device),
        classes=len(draw.target.classes),
        fold=torch.from_numpy(draw.fold).to(device),
        permutation=torch.from_numpy(draw.permutation).to(device),
        step_size=protocol.step_size,
        head=protocol.head,
        layers=protocol.layers,
        seed=seed + draw.repeat,
    )
    out = []
    accuracies = (seen.probe_accuracy, None, seen.probe_shuffled)
    for layers, accuracy in zip((seen.layers, seen.no_drift, seen.shuffled), accuracies, strict=True):
        values = _of_layers(layers, protocol)
        values["gradient_norm"] = gradient_norm(layers, step_size=protocol.step_size) if accuracy is not None else None
        out.append({**values, "probe_accuracy": accuracy})
    return Measures(out[0], out[1], out[2], seen.layers)


def _after_epoch(
    model: torch.nn.Module, draw: Draw, inputs: torch.Tensor, protocol: Protocol, *, seed: int, device: torch.device
) -> Measures:
    shifts = finetune_one_epoch(
        model,
        inputs,
        torch.from_numpy(draw.labels),
        torch.from_numpy(draw.permutation),
        classes=len(draw.target.classes),
        step_size=protocol.step_size,
        layers=protocol.layers,
        seed=seed + draw.repeat,
        device=device,
    )
    out = [_of_layers(layers, protocol) for layers in (shifts.layers, shifts.no_drift, shifts.shuffled)]
    return Measures(out[0], out[1], out[2], shifts.layers)


def _of_layers(layers: Sequence[LayerShift], protocol: Protocol) -> dict[str, float | None]:
    return {
        "channel_alignment": channel_alignment(layers),
        "ac_corr": ac_corr(layers, per_channel=protocol.per_channel),
        "affine_drift": affine_drift(layers),
    }


def _value(name: str, found: Sequence[Measures]) -> Value:
    """Mean, deviation and 95% interval of one score over the draws, with its controls."""
    values = _known(measures.values[name] for measures in found)
    if not values:
        return Value(None, note="every normalisation layer is untouched (all its affines are equal)")
    mean, sd, low, high = _interval(values)
    still, shuffled = (_known(part[name] for part in parts) for parts in _controls(found))
    return Value(
        value=mean,
        sd=sd,
        low=low,
        high=high,
        no_drift=float(np.mean(still)) if still else None,
        shuffled=float(np.mean(shuffled)) if shuffled else None,
    )


def _controls(found: Sequence[Measures]) -> tuple[list[dict[str, float | None]], list[dict[str, float | None]]]:
    return [one.no_drift for one in found], [one.shuffled for one in found]


def _known(values: Any) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _interval(values: Sequence[float]) -> tuple[float, float | None, float | None, float | None]:
    """Mean, deviation (ddof 1) and Student's 95% interval of the mean; None with a single value."""
    from scipy.stats import t

    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None, None, None
    sd = float(np.std(values, ddof=1))
    reach = float(t.ppf(0.975, len(values) - 1)) * sd / len(values) ** 0.5
    return mean, sd, mean - reach, mean + reach


def _untouched_note(layers: Sequence[LayerShift]) -> list[str]:
    count = sum(layer.untouched for layer in layers)
    if not count:
        return []
    return [f"{count} of {len(layers)} normalisation layers are untouched (equal affines): AC-Corr leaves them out"]


def _layer_records(found: Sequence[Measures]) -> list[dict[str, Any]]:
    """Per layer, the mean over draws of its raw AC-Corr, alignment and median drift."""
    out = []
    for draws in zip(*(one.layers for one in found), strict=True):
        first: LayerShift = draws[0]
        out.append(
            {
                "name": first.name,
                "channels": first.channels,
                "untouched": first.untouched,
                "ac_corr": float(np.mean([layer.total for layer in draws])),
                "channel_alignment": float(np.mean([layer.own / layer.total for layer in draws])),
                "affine_drift": float(np.mean([np.median(layer.drift) for layer in draws])),
            }
        )
    return out
