"""Finetuning on masks: every method learns, in 2D and 3D; patches, sliding windows, resuming, saving, the command."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.finetuning_bench import quick
from helpers.workbench import Outcome, dense_entry, input_of, make_images, make_masks, write_zoo
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from acrank.comparison.tables import read_truth
from acrank.errors import MissingExtraError, NothingRankedError, TargetError, UsageError
from acrank.finetuning import patch_loader as module
from acrank.finetuning.flow import Progress, finetune
from acrank.finetuning.image_loader import augmented
from acrank.finetuning.methods import METHODS
from acrank.finetuning.patch_loader import PatchLoader, PatchSource
from acrank.finetuning.saved_networks import HeadedNetwork
from acrank.finetuning.splits import Part, open_splits
from acrank.finetuning.tasks.segmentation import PositionHead, Segmentation
from acrank.targets import Target, TargetOptions, open_target
from acrank.zoo import load_zoo
from acrank.zoo.loading import LoadedModel, load_candidate

pytest.importorskip("monai")


def bench(folder: Path) -> tuple[Path, Path]:
    """Manifest and target."""
    return write_zoo(folder / "zoo", dense_entry(folder / "zoo", "dense0")), make_masks(folder / "target")


def loader_of(target: Target, *, size: tuple[int, ...] = (16, 16), patches: int = 3) -> PatchLoader:
    candidate = LoadedModel(nn.Identity(), input_of(size, 3))
    return PatchLoader(PatchSource(target, candidate), Part(target, np.arange(len(target))), patches)


@pytest.mark.parametrize("method", [*METHODS, "ac-norm+l2-sp", "stochnorm+bn-only+bss"])
def test_each_method_learns_to_find_rectangles(tmp_path: Path, method: str) -> None:
    zoo, target = bench(tmp_path)
    settings = quick(lrs=[0.1, 1.0], epochs=25, patience=0, patches=4)
    outcome = finetune(zoo, target, [method], settings, work_dir=tmp_path / "work").outcomes[0]
    assert outcome.reason == ""
    assert outcome.metric == "dice"
    assert outcome.ground_truth is not None
    assert outcome.ground_truth > 0.35, outcome  # all foreground gives 0.21
    measures = next(trial["measures"] for trial in outcome.trials if trial["lr"] == outcome.lr)
    assert measures["dice_by_class"][1] == outcome.ground_truth
    assert measures["iou"] == pytest.approx(outcome.ground_truth / (2 - outcome.ground_truth), abs=0.05)


def test_volumes_of_either_layout_give_one_result(tmp_path: Path) -> None:
    from acrank.demo.nodules import make_nodules

    zoo = write_zoo(tmp_path / "zoo", dense_entry(tmp_path / "zoo", "dense3", dims=3))
    settings = quick(lrs=[0.1], epochs=2, patches=2, batch_size=4, test_share=0.4)
    found = []
    for layout in ("decathlon", "nnunet"):
        make_nodules(tmp_path / layout, layout=layout, n=8, size=24)  # type: ignore[arg-type]
        work = tmp_path / f"{layout}.work"
        found += finetune(zoo, tmp_path / layout, ["vanilla"], settings, work_dir=work).outcomes
    assert found[0].trials == found[1].trials
    assert found[0].ground_truth is not None
    assert found[0].details["sizes"] == {"train": 3, "val": 2, "test": 3}


def test_2d_candidates_learn_volumes_in_slices(tmp_path: Path) -> None:
    """Evaluated as volumes: slice by slice is what a network of single positions says of the whole."""
    from acrank.demo.nodules import make_nodules

    make_nodules(tmp_path / "target", n=6, size=24)
    target = open_target(tmp_path / "target", slices=3)
    candidate = LoadedModel(nn.Identity(), input_of((16, 16), 3))
    loader, task = PatchLoader(PatchSource(target, candidate), Part(target, np.arange(6)), 2), Segmentation(2)
    head = PositionHead(3, 2)
    image, labels = loader.source.image(0), torch.from_numpy(target.mask_store.mask(0).astype(np.int64))
    assert image.shape == (24, 3, 24, 24)
    assert torch.equal(image[5, 0], image[4, 1])  # neighbours are channels
    found = loader.evaluate(lambda inputs: head(inputs).detach(), task)
    logits = head(image).detach().movedim(0, 1)
    single = PatchLoader(loader.source, Part(target, np.arange(1)), 1).evaluate(lambda x: head(x).detach(), task)
    assert single.measures["dice_by_class"][0] == pytest.approx(float(task.overlap(logits, labels)["dice"][0]))
    assert np.isfinite(found.loss)
    for inputs, masks in loader.batches(4, "light"):
        assert inputs.shape[1:] == (3, 16, 16)
        assert masks.shape[1:] == (16, 16)
    zoo = write_zoo(tmp_path / "zoo", dense_entry(tmp_path / "zoo", "dense2"))
    parts = open_splits(tmp_path / "target", TargetOptions(slices=3))
    settings = quick(lrs=[0.1], epochs=2, patches=4, batch_size=4)
    outcome = finetune(zoo, parts, ["ac-norm"], settings, work_dir=tmp_path / "work").outcomes[0]
    assert outcome.ground_truth is not None


def test_labelled_volumes_are_learnt_by_3d_candidates(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(30) % 2
    images = generator.integers(0, 120, (30, 12, 12, 12)) + 90 * labels[:, None, None, None]
    np.savez(tmp_path / "target.npz", images=images.astype(np.uint8), labels=labels)
    zoo = write_zoo(tmp_path / "zoo", dense_entry(tmp_path / "zoo", "dense3", dims=3, size=8))
    settings = quick(lrs=[0.1], epochs=4, batch_size=8)
    outcome = finetune(zoo, tmp_path / "target.npz", ["ac-norm"], settings, work_dir=tmp_path / "work").outcomes[0]
    assert outcome.metric == "balanced_accuracy"
    assert outcome.ground_truth is not None
    assert outcome.ground_truth > 0.7
    turned = augmented(torch.arange(8.0).expand(16, 1, 8, 8, 8).clone(), -3)
    assert torch.equal(turned[0], torch.arange(8.0).expand(1, 8, 8, 8))  # along the last axis nothing is mirrored


def test_a_2d_candidate_on_volumes_fails_with_the_reason(tmp_path: Path) -> None:
    from acrank.demo.nodules import make_nodules

    make_nodules(tmp_path / "target", n=4, size=24)
    zoo = write_zoo(tmp_path / "zoo", dense_entry(tmp_path / "zoo", "dense2"))
    with pytest.raises(NothingRankedError, match=r"takes images .2 dimensions., the target holds volumes"):
        finetune(zoo, tmp_path / "target", ["vanilla"], quick(), work_dir=tmp_path / "work")


def test_patches_are_parts_of_image_and_mask(tmp_path: Path) -> None:
    target = open_target(make_masks(tmp_path / "target"))
    loader = loader_of(target)
    images = [torch.from_numpy(target.read(index)) for index in range(len(target))]
    masks = [torch.from_numpy(target.mask_store.mask(index)) for index in range(len(target))]
    torch.manual_seed(0)
    batches = list(loader.batches(8, "none"))
    assert sum(len(labels) for _, labels in batches) == 3 * len(target)
    assert len(batches) == loader.steps(8)
    for inputs, labels in batches:
        for image, label in zip(inputs, labels, strict=True):
            assert any(
                torch.equal(image, whole[:, y : y + 16, x : x + 16])
                and torch.equal(label, mask[y : y + 16, x : x + 16])
                for whole, mask in zip(images, masks, strict=True)
                for y in range(13)
                for x in range(13)
            )


def test_every_image_is_centred_on_foreground_in_every_second_epoch_part(tmp_path: Path) -> None:
    target = open_target(make_masks(tmp_path / "target", n=6))
    seen: list[tuple[int, bool]] = []
    loader = loader_of(target, patches=4)
    patch = loader.source.patch

    def spy(index: int, rng: np.random.Generator, *, foreground: bool) -> tuple[Tensor, Tensor]:
        seen.append((index, foreground))
        return patch(index, rng, foreground=foreground)

    loader.source.patch = spy  # type: ignore[method-assign]
    list(loader.batches(4, "none"))
    assert sorted(seen) == [(index, which) for index in range(6) for which in (False, False, True, True)]
    rng = np.random.default_rng(0)
    assert all(bool((patch(0, rng, foreground=True)[1] == 1).any()) for _ in range(20))


def test_beyond_the_edge_labels_are_left_out_and_the_border_is_repeated(tmp_path: Path) -> None:
    target = open_target(make_masks(tmp_path / "target", n=4))
    image, labels = loader_of(target, size=(32, 28)).source.patch(0, np.random.default_rng(0), foreground=False)
    assert image.shape == (3, 32, 28)
    assert bool((labels[28:] == -1).all())
    assert bool((labels[:28] >= 0).all())
    torch.testing.assert_close(image[:, 28:], image[:, 27:28].expand(-1, 4, -1))


def test_light_augmentation_mirrors_image_and_mask_together(tmp_path: Path) -> None:
    target = open_target(make_masks(tmp_path / "target"))
    loader = loader_of(target, size=(28, 28), patches=2)  # whole images
    torch.manual_seed(0)
    mirrored = 0
    for inputs, labels in loader.batches(4, "light"):
        for image, label in zip(inputs, labels, strict=True):
            index, flipped = next(
                (index, flipped)
                for index in range(len(target))
                for flipped in (False, True)
                if torch.equal(image, torch.from_numpy(target.read(index)).flip(-1 if flipped else ()))
            )
            mask = torch.from_numpy(target.mask_store.mask(index)).long()
            assert torch.equal(label, mask.flip(-1) if flipped else mask)
            mirrored += flipped
    assert 5 <= mirrored <= 23  # of 28


def test_what_memory_cannot_hold_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = open_target(make_masks(tmp_path / "target", n=5))

    def epoch() -> list[tuple[Tensor, Tensor]]:
        torch.manual_seed(3)
        return list(loader_of(target).batches(4, "light"))

    held = epoch()
    monkeypatch.setattr(module, "held_bytes", lambda _: 0)
    for (inputs, labels), (other, truth) in zip(held, epoch(), strict=True):
        assert torch.equal(inputs, other)
        assert torch.equal(labels, truth)


def test_sliding_windows_give_what_the_whole_image_gives_where_windows_do_not_matter(tmp_path: Path) -> None:
    """A network that looks at single positions says the same in every window."""
    target = open_target(make_masks(tmp_path / "target", n=4))
    loader, task = loader_of(target), Segmentation(2)
    head = PositionHead(3, 2)
    found = loader.evaluate(lambda inputs: head(inputs).detach(), task)
    whole, losses = [], []
    for index in range(len(target)):
        logits = head(torch.from_numpy(target.read(index))[None]).detach()
        labels = torch.from_numpy(target.mask_store.mask(index)).long()
        whole.append(task.overlap(logits[0], labels))
        losses.append(float(task.loss(logits, labels[None])))
    expected = task.summary(whole, float(np.mean(losses)))
    assert found.value == pytest.approx(expected.value)
    assert found.loss == pytest.approx(expected.loss, rel=1e-5)
    broken = loader.evaluate(lambda inputs: torch.full((len(inputs), 2, *inputs.shape[2:]), torch.nan), task)
    assert np.isnan(broken.value)


def test_class_weights_come_from_the_training_masks(tmp_path: Path) -> None:
    target = open_target(make_masks(tmp_path / "target", n=4))
    assert loader_of(target).class_sizes(2).tolist() == [4 * (28 * 28 - 90), 4 * 90]
    zoo, _ = bench(tmp_path / "b")
    settings = quick(lrs=[0.1], epochs=1, patches=1, class_weights=True, loss="ce", metric="iou")
    outcome = finetune(zoo, tmp_path / "target", ["vanilla"], settings, work_dir=tmp_path / "work").outcomes[0]
    assert outcome.metric == "iou"
    assert outcome.ground_truth == outcome.trials[0]["measures"]["iou"]


def test_interrupted_after_any_epoch_the_result_is_identical(tmp_path: Path) -> None:
    zoo, target = bench(tmp_path)
    settings = quick(lrs=[0.1, 0.03], epochs=2, patches=2)
    whole = finetune(zoo, target, ["vanilla", "ac-norm"], settings, work_dir=tmp_path / "whole")

    def stop(at: Progress) -> None:
        raise KeyboardInterrupt

    stops = 0
    while True:
        try:
            cut = finetune(
                *(zoo, target, ["vanilla", "ac-norm"], settings),
                work_dir=tmp_path / "cut",
                resume=True,
                on_epoch=stop,
            )
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops == 8
    assert [one.trials for one in cut.outcomes] == [one.trials for one in whole.outcomes]


@pytest.mark.parametrize("method", ["vanilla", "ac-norm", "stochnorm"])
def test_the_saved_network_gives_the_measured_quality(tmp_path: Path, method: str) -> None:
    zoo, target = bench(tmp_path)
    settings = quick(lrs=[0.1], epochs=2, patches=2)
    folder = tmp_path / "saved"
    outcome = finetune(zoo, target, [method], settings, work_dir=tmp_path / "work", save_dir=folder).outcomes[0]
    (path,) = folder.iterdir()
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["acrank"])
    assert about["classes"] == ["background", "foreground"]
    candidate = load_candidate(load_zoo(zoo).candidates[0], allow_code=True)
    task = Segmentation(2)
    plain = HeadedNetwork(candidate.model, task.head(6), task).eval()
    plain.load_state_dict(load_file(path), strict=True)
    parts = open_splits(target)
    from acrank.finetuning.splits import make_partition

    test = make_partition(parts, split=0, val_share=0.2, test_share=0.3, train_size=None).test
    loader = PatchLoader(PatchSource(parts["all"], candidate), test, 1)
    with torch.no_grad():
        assert loader.evaluate(plain, task).value == pytest.approx(outcome.ground_truth, abs=1e-4)


def test_measures_of_the_other_task_are_refused(tmp_path: Path) -> None:
    zoo, target = bench(tmp_path)
    with pytest.raises(UsageError, match="unknown segmentation metric 'auc'"):
        finetune(zoo, target, ["vanilla"], quick(metric="auc"), work_dir=tmp_path / "work")
    images = make_images(tmp_path / "images")
    with pytest.raises(UsageError, match="unknown classification loss 'dice-ce'"):
        finetune(zoo, images, ["vanilla"], quick(loss="dice-ce"), work_dir=tmp_path / "work")
    with pytest.raises(TargetError, match="too few images"):
        finetune(zoo, make_masks(tmp_path / "two", n=2), ["vanilla"], quick(), work_dir=tmp_path / "work2")


def test_the_command_finetunes_on_masks_and_compare_reads_the_truth(
    tmp_path: Path, acrank: Callable[..., Outcome]
) -> None:
    zoo, target = bench(tmp_path)
    out = tmp_path / "truth.csv"
    words = ["--zoo", zoo, "--data", target, "--epochs", 2, "--lr", 0.1, "--patches", 2, "--splits", 2]
    done = acrank("finetune", *map(str, words), "--allow-code", "--loss", "ce", "-o", str(out))
    assert done.code == 0, done.err
    truth = read_truth(out)
    assert truth is not None
    rows = out.read_text().splitlines()
    assert [row.split(",")[6] for row in rows[1:]] == ["dice", "dice"]


def test_a_part_of_the_training_images_is_taken_though_all_masks_hold_the_same_classes(tmp_path: Path) -> None:
    zoo, target = bench(tmp_path)
    sizes = [
        finetune(zoo, target, ["vanilla"], quick(lrs=[0.1], epochs=1, train_size=size), work_dir=tmp_path / str(size))
        .outcomes[0]
        .details["sizes"]["train"]
        for size in (2, 3)
    ]
    assert sizes == [2, 3]


def test_without_monai_it_ends_before_it_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo, data = bench(tmp_path)
    monkeypatch.setitem(sys.modules, "monai.losses", None)
    with pytest.raises(MissingExtraError, match="finetuning on masks needs monai"):
        finetune(zoo, data, ["vanilla"], quick(), work_dir=tmp_path / "work")
    assert not (tmp_path / "work").exists()
