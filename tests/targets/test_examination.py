"""Images that cannot be decoded are left out once; what the others hold is kept."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from helpers.workbench import input_of, make_images, make_masks
from PIL import Image

from acrank.errors import TargetError
from acrank.targets import Target, open_target
from acrank.targets.examination import Examination, examined_draws, same_images
from acrank.targets.understanding import understand


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def looked_at(target: Target) -> Target:
    return Examination().look(target, range(len(target)))


def test_a_broken_image_is_left_out_with_its_name(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "t")
    cut(folder / "class1" / "003.png")
    before = open_target(folder)
    target = looked_at(before)
    assert len(target) == 29
    assert [name for name, _ in target.left_out] == ["class1/003.png"]
    assert "cannot read the image" in target.left_out[0][1]
    assert target.labels.tolist() == [0] * 10 + [1] * 9 + [2] * 10
    place = target.ids.index("class2/000.png")
    assert (target.read(place) == before.read(before.ids.index("class2/000.png"))).all()
    assert target.fingerprint != before.fingerprint
    assert pickle.loads(pickle.dumps(target)).ids == target.ids


@pytest.mark.parametrize(("broken", "refused"), [(1, False), (2, True), (5, True)])
def test_more_than_a_share_is_refused(tmp_path: Path, broken: int, refused: bool) -> None:
    folder = make_images(tmp_path / "t")  # 30 images, of which 5% is one
    for i in range(broken):
        cut(folder / "class0" / f"{i:03d}.png")
    if not refused:
        assert len(looked_at(open_target(folder))) == 29
        return
    with pytest.raises(TargetError, match=rf"{broken} of 30 images of t cannot be read: class0/000.png") as caught:
        looked_at(open_target(folder))
    assert "--bad-images skip-all" in str(caught.value.hint)
    assert len(looked_at(open_target(folder, bad_images="skip-all"))) == 30 - broken


def test_none_may_be_broken_where_the_user_says_so(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "t")
    cut(folder / "class0" / "000.png")
    with pytest.raises(TargetError, match="cannot read the image") as caught:
        looked_at(open_target(folder, bad_images="fail"))
    assert "--bad-images skip" in str(caught.value.hint)


def test_a_class_without_a_readable_image_is_refused(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "t")
    (folder / "rare").mkdir()
    (folder / "rare" / "1.png").write_bytes(b"no image")
    with pytest.raises(TargetError, match="no image of rare can be read"):
        looked_at(open_target(folder))


def test_a_file_that_is_empty_gone_or_of_another_kind_is_broken(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "t", each=40)
    target = open_target(folder)
    (folder / "class0" / "000.png").write_bytes(b"")
    (folder / "class0" / "001.png").write_text("<html>not found</html>")
    (folder / "class1" / "002.png").unlink()
    assert [name for name, _ in looked_at(target).left_out] == ["class0/000.png", "class0/001.png", "class1/002.png"]


def test_values_that_do_not_fit_end_the_run(tmp_path: Path) -> None:
    """They say that the data are misread, which leaving an image out would hide."""
    folder = make_masks(tmp_path / "t", n=14)
    target = open_target(folder)
    mask = np.asarray(Image.open(folder / "masks" / "03.png")).copy()
    mask[0, 0] = 77
    Image.fromarray(mask).save(folder / "masks" / "03.png")
    with pytest.raises(TargetError, match="holds the value 77"):
        looked_at(target)


@pytest.mark.parametrize("part", ["images", "masks"])
def test_an_image_with_a_broken_mask_is_left_out(tmp_path: Path, part: str) -> None:
    folder = make_masks(tmp_path / "t", n=14)
    (folder / part / "03.png").write_bytes(b"\x89PNG damaged")
    target = looked_at(open_target(folder))
    assert [name for name, _ in target.left_out] == ["03"]
    assert len(target) == 13
    assert target.mask_store.mask(3).shape == (28, 28)


def test_a_volume_that_is_cut_off_is_left_out(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    for label in "ab":
        (tmp_path / "t" / label).mkdir(parents=True)
        for i in range(3):
            values = np.random.default_rng(i).integers(0, 99, (19, 18, 17)).astype(np.int16)
            nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "t" / label / f"{i}.nii.gz")
    path = tmp_path / "t" / "b" / "1.nii.gz"
    path.write_bytes(path.read_bytes()[:-900])
    target = looked_at(open_target(tmp_path / "t"))
    assert [name for name, _ in target.left_out] == ["b/1.nii.gz"]
    assert target.left_right == open_target(tmp_path / "t").left_right == -3


def test_draws_hold_no_broken_image_and_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_images(tmp_path / "t")
    cut(folder / "class1" / "003.png")
    reads: list[int] = []
    real = Target.read_noted
    monkeypatch.setattr(Target, "read_noted", lambda self, index: (reads.append(index), real(self, index))[1])
    target, draws, examination = examined_draws(open_target(folder), samples=None, repeats=2, seed=0)
    assert len(reads) == 30
    assert all("class1/003.png" not in draw.ids for draw in draws)
    assert set(examination.facts) == set(target.ids)
    assert len(draws[1].batch(input_of((16, 16), 3))) == 29
    assert len(reads) == 30
    assert pickle.loads(pickle.dumps(draws[0]))._images is None


def test_copies_are_told_from_other_pictures(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "t")
    for place, path in enumerate(sorted(folder.rglob("*.png"))):  # shapes, as pictures have them, in place of noise
        shapes = np.random.default_rng(place).integers(0, 255, (7, 7, 3)).astype(np.uint8)
        Image.fromarray(shapes).resize((96, 96), Image.Resampling.BICUBIC).save(path)
    with Image.open(folder / "class0" / "000.png") as file:
        file.resize((50, 50), Image.Resampling.LANCZOS).save(folder / "class2" / "copy.png")
        file.save(folder / "class1" / "copy.jpg", quality=80)
    target, examination = open_target(folder), Examination()
    examination.look(target, range(len(target)))
    pairs = same_images(examination.facts, likeness=0.998)
    copies = ["class0/000.png", "class1/copy.jpg", "class2/copy.png"]
    assert sorted(pairs) == [(copies[0], copies[1]), (copies[0], copies[2]), (copies[1], copies[2])]


def test_transparent_parts_are_counted_and_named_as_the_cause(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "t")
    for place, name in enumerate(["000.png", "001.png", "002.png"]):  # the third is opaque: nothing is lost
        drawn = np.full((20, 20, 4), 255, np.uint8)
        drawn[:9, :9, :3] = 50 + place
        drawn[5:, 5:, 3] = 255 if place == 2 else 0
        Image.fromarray(drawn).save(folder / "class0" / name)
    target = open_target(folder)
    examination = Examination()
    for _ in range(2):  # looked at again, they are counted once
        examination.look(target, range(30))
    target.read(0)
    assert target.notes == ["alpha is dropped, though parts are transparent (2 of 30 images)"]
    for name in target.ids:
        drawn = np.zeros((20, 20, 4), np.uint8)
        drawn[int(name[-6:-4]) % 9 :, :, 3] = 255
        Image.fromarray(drawn).save(folder / name)
    target, examination = open_target(folder), Examination()
    examination.look(target, range(30))
    with pytest.raises(TargetError, match=r"holds one value only; alpha is dropped, though parts are transparent"):
        understand(target, examination)


def test_facts_of_an_image_of_several_blocks_are_those_of_the_whole(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (3, 1100, 1300), np.uint8)
    target = open_target(saved(tmp_path, values))
    examination = Examination()
    examination.look(target, [0])
    facts, image = examination.facts[target.ids[0]], values[0] / np.float32(255)
    assert (facts.low, facts.high) == (image.min(), image.max())
    assert facts.mean == pytest.approx(image.mean(dtype=np.float64), rel=1e-12)
    assert facts.square == pytest.approx(np.square(image, dtype=np.float64).mean(), rel=1e-12)
    whole = str((1, 1100, 1300)).encode() + image.tobytes()
    assert facts.digest == hashlib.blake2b(whole, digest_size=16).hexdigest()


def saved(folder: Path, values: np.ndarray) -> Path:
    for place, image in enumerate(values):
        path = folder / "large" / f"class{place}" / "0.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(image).save(path)
    return folder / "large"
