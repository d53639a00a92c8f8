"""The target of the demo: what is written, from which seeds, and how hard it is to tell grades apart trivially."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from acrank.demo import GRADES, SHARES, TARGET_SIZE, grade_counts, make_target
from acrank.demo.fundus import fundus, graded_lesions
from acrank.demo.lesions import Lesions, draw_lesions
from acrank.errors import OutputError, UsageError


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "new" / "target"
    make_target(folder, n=40)
    return folder


def read(folder: Path) -> dict[str, np.ndarray]:
    return {
        str(path.relative_to(folder)): np.asarray(Image.open(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_default_target_has_the_shares_of_a_screening_programme() -> None:
    assert grade_counts(240) == (101, 33, 53, 24, 29)
    assert sum(SHARES) == pytest.approx(1)


@given(st.integers(20, 5000))
def test_every_grade_gets_its_share_within_one_image(n: int) -> None:
    counts = grade_counts(n)
    assert sum(counts) == n
    assert all(abs(count - n * share) <= 1 + 1e-9 for count, share in zip(counts, SHARES, strict=True))


def test_one_folder_of_png_files_per_grade(target: Path) -> None:
    assert [path.name for path in sorted(target.iterdir())] == list(GRADES)
    assert tuple(len(list((target / grade).glob("*.png"))) for grade in GRADES) == grade_counts(40)
    assert all(
        image.shape == (TARGET_SIZE, TARGET_SIZE, 3) and image.dtype == np.uint8 for image in read(target).values()
    )


def test_the_same_seed_gives_the_same_images_and_another_seed_others(target: Path, tmp_path: Path) -> None:
    make_target(tmp_path / "again", n=40)
    make_target(tmp_path / "other", n=40, seed=1)
    first, again, other = read(target), read(tmp_path / "again"), read(tmp_path / "other")
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not any(np.array_equal(first[name], other[name]) for name in first)


def test_an_image_does_not_depend_on_how_many_there_are(target: Path, tmp_path: Path) -> None:
    make_target(tmp_path / "fewer", n=20)
    first, fewer = read(target), read(tmp_path / "fewer")
    assert all(np.array_equal(first[name], image) for name, image in fewer.items())


def test_a_retina_is_the_one_it_was() -> None:
    """Golden mean per channel, taken from this generator; a processor's rounding moves it by far less than 0.05."""
    image = fundus(np.random.default_rng(7), 3, 96)
    assert image.mean(axis=(0, 1)) == pytest.approx([93.415, 46.204, 28.850], abs=0.05)


def test_the_number_of_lesions_rises_with_the_grade_up_to_severe() -> None:
    rng = np.random.default_rng(0)
    drawn = [[graded_lesions(rng, grade) for _ in range(200)] for grade in range(5)]
    dark = [np.mean([x.microaneurysms + x.haemorrhages for x in lesions]) for lesions in drawn]
    assert dark[0] < dark[1] < dark[2] < dark[3]
    assert all(x.new_vessels for x in drawn[4])
    assert not any(x.new_vessels for lesions in drawn[:4] for x in lesions)


@pytest.mark.parametrize(
    ("lesions", "brighter"),
    [
        (Lesions(microaneurysms=9), False),
        (Lesions(haemorrhages=3), False),
        (Lesions(new_vessels=1), False),
        (Lesions(pigment=3), False),
        (Lesions(exudates=3), True),
        (Lesions(drusen=9), True),
        (Lesions(cotton_wool=3), True),
    ],
)
def test_a_lesion_shows_as_a_brighter_or_darker_place(lesions: Lesions, brighter: bool) -> None:
    retina = np.full((96, 96, 3), 0.5)
    drawn = draw_lesions(np.random.default_rng(0), retina, lesions, np.zeros(2))
    change = (drawn - retina).sum(axis=2)
    assert 0.002 < np.mean(change != 0) < 0.2
    assert (change.sum() > 0) == brighter


def test_no_lesions_change_nothing() -> None:
    retina = np.full((32, 32, 3), 0.5)
    assert np.array_equal(draw_lesions(np.random.default_rng(0), retina, Lesions(), np.zeros(2)), retina)


def test_it_is_dark_outside_the_round_field_of_view() -> None:
    stack = np.stack([fundus(np.random.default_rng(i), 2, 48) for i in range(20)])
    assert stack[:, :4, :4].mean() < 10 < stack[:, 20:28, 20:28].mean()


@pytest.mark.parametrize("size", [32, 64, 96])
def test_any_size_can_be_drawn(size: int) -> None:
    assert fundus(np.random.default_rng(0), 4, size).shape == (size, size, 3)


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="19 images"):
        make_target(tmp_path / "target", n=19)
    assert not (tmp_path / "target").exists()


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="is not empty"):
        make_target(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("a file")
    with pytest.raises(OutputError, match="cannot write the target"):
        make_target(tmp_path / "target")


def test_importing_the_demo_loads_nothing_heavy() -> None:
    code = "import sys, acrank.demo; print(sorted({'numpy', 'scipy', 'PIL', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
