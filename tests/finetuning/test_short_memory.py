"""Where memory is short, a step's images go through the network a few at a time, as is known before the first step."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.finetuning_bench import CLASSES, loaded, make_bench, quick, sample, start
from helpers.workbench import Outcome
from torch import nn

from acrank.errors import CandidateError
from acrank.finetuning import finetune
from acrank.finetuning.building import build_network, inputs_at_once
from acrank.finetuning.image_loader import ImageLoader, ImageSource, held_bytes
from acrank.finetuning.methods import make_methods
from acrank.finetuning.methods.delta import channel_weights
from acrank.finetuning.methods.method import SourceContext
from acrank.finetuning.splits import Part
from acrank.finetuning.tasks.classification import Classification
from acrank.finetuning.trainer import Trainer
from acrank.observation.part_size import OVERHEAD, bytes_of_parameters, graph_bytes
from acrank.targets import open_target
from acrank.zoo.loading import LoadedModel

Command = Callable[..., Outcome]


def without_batch_statistics() -> LoadedModel:
    """Every image by itself: parts of a step change nothing but rounding."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    )
    return loaded(model, head="5")


@pytest.mark.parametrize("method", ["vanilla", "l2-sp", "delta"])
@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_parts_of_a_step_sum_to_the_step(tmp_path: Path, method: str, optimiser: str) -> None:
    _, folder = make_bench(tmp_path)
    target = open_target(folder)
    settings = quick(optimiser=optimiser, lrs=[0.01], batch_size=9, augment="none").for_task("classification")
    found = []
    for at_once in (None, 4):
        network, methods, candidate = start(method, without_batch_statistics())
        network.at_once = at_once
        loader = ImageLoader(ImageSource(target, candidate), Part(target, np.arange(len(target))))
        trainer = Trainer(network, methods, train=loader, val=loader, settings=settings, lr=0.01)
        torch.manual_seed(1)
        before = copy.deepcopy(network.state_dict())
        trainer.run_epoch()
        assert not torch.equal(before["head.weight"], network.head.weight)
        found.append((network.state_dict(), trainer.best))
    for name, value in found[0][0].items():
        torch.testing.assert_close(found[1][0][name], value, rtol=1e-4, atol=1e-6)
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-4)


def room_for(count: float) -> int:
    """Bytes that hold the step's graph of so many images of the workbench's network, and its copies."""
    network, _, _ = start("vanilla")
    inputs, labels = sample()
    task = network.task
    two = graph_bytes(network.train(), lambda: task.loss(network(inputs[:2])[1], labels[:2]), limit=2**40)
    assert two is not None
    return 5 * bytes_of_parameters(network) + int(count * two / 2 * OVERHEAD) + 1


@pytest.mark.parametrize(("fits", "expected"), [(100, 8), (8, 8), (7, 4), (3, 2), (1.95, 1)])
def test_as_many_go_through_as_fit(monkeypatch: pytest.MonkeyPatch, fits: float, expected: int) -> None:
    free = room_for(fits)
    monkeypatch.setattr("acrank.finetuning.building.free_memory", lambda *_: free)
    network, _, _ = start("vanilla")
    assert inputs_at_once(network, *sample(), count=8, memory=None) == expected


def test_not_even_one_is_an_error_that_names_the_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acrank.finetuning.building.free_memory", lambda *_: 1000)
    network, _, _ = start("vanilla")
    with pytest.raises(CandidateError, match="one input of this network needs"):
        inputs_at_once(network, *sample(), count=8, memory=None)


def test_measuring_leaves_the_network_and_the_generator_as_they_were() -> None:
    network, _, _ = start("stochnorm")  # draws random numbers in every pass
    network.body.eval()
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    modes = [module.training for module in network.modules()]
    assert inputs_at_once(network, *sample(), count=8, memory=None) == 8
    assert [module.training for module in network.modules()] == modes
    assert torch.equal(state, torch.get_rng_state())
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert all(part.grad is None for part in network.parameters())


def test_deltas_weights_do_not_depend_on_the_parts() -> None:
    source = loaded().model.requires_grad_(False)
    inputs, labels = sample()
    weights = []
    for at_once in (None, 5):
        torch.manual_seed(4)
        context = SourceContext(
            source=source, inputs=inputs, labels=labels, task=Classification(CLASSES), at_once=at_once
        )
        weights.append(channel_weights(context, ["0", "3"]))
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=1e-5)


def test_methods_hear_of_it() -> None:
    methods = make_methods("vanilla")
    heard = []
    methods[0].begin = lambda _, context: heard.append(context.at_once)  # type: ignore[method-assign]
    network = build_network(loaded(), methods, Classification(CLASSES), sample=sample(), at_once=lambda _: 3)
    assert (network.at_once, heard) == (3, [3])


def test_a_run_says_so_and_resumes_with_the_same_number(
    acrank: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    zoo, target = make_bench(tmp_path)
    monkeypatch.setattr("acrank.finetuning.runs.inputs_at_once", lambda *_, **__: 4)
    words = ("finetune", "--zoo", zoo, "--data", target, "--allow-code", "--epochs", 2, "--lr", 0.01)
    words = (*words, "--batch-size", 8, "--splits", 1, "-o", "truth.json")
    done = acrank(*words)
    assert done.code == 0, done.err
    (run,) = json.loads(Path("truth.json").read_text())["outcomes"]
    note = "too little memory for a step of 8: 4 at a time, batch statistics are of those"
    assert run["details"]["short_of_memory"] == note
    assert f"vanilla, split 0, seed 0): {note}" in done.err
    limited = run["ground_truth"], run["trials"]
    # an interrupted run of the same settings goes on as it began, although there is room now
    settings = quick(lrs=[0.01], epochs=2)
    stopped = tmp_path / "stopped"

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(zoo, target, ["vanilla"], settings, work_dir=stopped, splits=1, on_epoch=stop)
    monkeypatch.setattr("acrank.finetuning.runs.inputs_at_once", lambda *_, **__: 8)
    (outcome,) = finetune(zoo, target, ["vanilla"], settings, work_dir=stopped, splits=1, resume=True).outcomes
    assert outcome.details["short_of_memory"] == note
    assert (outcome.ground_truth, outcome.trials) == limited
    (free,) = finetune(zoo, target, ["vanilla"], settings, work_dir=tmp_path / "free", splits=1).outcomes
    assert "short_of_memory" not in free.details
    assert free.trials != outcome.trials


def test_a_cap_that_is_no_size_is_refused(acrank: Command, tmp_path: Path) -> None:
    zoo, target = make_bench(tmp_path)
    done = acrank("finetune", "--zoo", zoo, "--data", target, "--memory", "much")
    assert (done.code, "'much' is not a size" in done.err) == (2, True)


def test_images_are_held_in_a_quarter_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    for free, expected in ((2**40, 2 * 2**30), (400, 100)):
        monkeypatch.setattr("acrank.finetuning.image_loader.free_memory", lambda *_, free=free: free)
        assert held_bytes(None) == expected


def test_images_are_held_within_the_cap() -> None:
    assert held_bytes("1MB") == 0  # the process has more already
