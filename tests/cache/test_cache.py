"""The cache of observations: whole or not there, never another's, and a second run that loads nothing."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from helpers.workbench import Outcome, entry, make_images, make_zoo, network, write_zoo

from acrank.cache import ObservationCache, identity_of, key_of
from acrank.records import Details, Ranking
from acrank.scores.inputs import CandidateInfo, LayerShift, MapRows, Observation
from acrank.settings import Settings
from acrank.targets import open_target
from acrank.targets.draws import make_draws
from acrank.zoo import load_zoo

Command = Callable[..., Outcome]
IDS = ["a/1.png", "a/ü.png", "b/2.png", "b/3.png"]


def observation(seed: int, d: int = 6) -> Observation:
    rng = np.random.default_rng(seed)
    affines = [rng.normal(size=(4, 5)) for _ in range(4)]
    names = ("source_weight", "source_bias", "target_weight", "target_bias")
    layers = [
        (LayerShift(name="bn[1]", eps=1e-5, **dict(zip(names, four, strict=True)), total=2.5, own=1.25),)
        for four in affines
    ]
    maps = tuple(
        MapRows(rng.normal(size=(m, m + 1)).astype(np.float32), np.arange(m), np.arange(m) // 2) for m in range(2, 14)
    )
    return Observation(
        labels=np.array([0, 1, 0, 1]),
        half=np.array([True, False, False, True]),
        permutation=np.array([3, 2, 1, 0]),
        features=rng.normal(size=(4, d)).astype(np.float32),
        logits=rng.normal(size=(4, 3)).astype(np.float32) if seed % 2 else None,
        shifts=layers[0],
        initial_shifts=layers[1],
        shuffled_shifts=layers[2],
        random_head_shifts=layers[3],
        later_gram=rng.normal(size=(2, 2)).astype(np.float32) if seed % 2 else None,
        later_gram_rows=np.array([0, 2]) if seed % 2 else None,
        maps=maps if seed % 2 else None,
    )


ABOUT = CandidateInfo(
    params=7, notes=["a note"], weights={"sha256": "0" * 64, "matched": 3}, details=Details(step_size=0.1)
)


def equal(one: Observation, other: Observation) -> bool:
    for name in ("labels", "half", "permutation", "features", "logits", "later_gram", "later_gram_rows"):
        a, b = getattr(one, name), getattr(other, name)
        if (a is None) != (b is None) or (a is not None and not (np.array_equal(a, b) and a.dtype == b.dtype)):
            return False
    if (one.maps is None) != (other.maps is None):
        return False
    for mine, others in zip(one.maps or (), other.maps or (), strict=True):
        if any(not np.array_equal(a, b) or a.dtype != b.dtype for a, b in zip(mine, others, strict=True)):
            return False
    sides = [
        (*seen.shifts, *seen.initial_shifts, *seen.shuffled_shifts, *seen.random_head_shifts) for seen in (one, other)
    ]
    return all(
        (a.name, a.eps, a.total, a.own) == (b.name, b.eps, b.total, b.own)
        and np.array_equal(a.source_weight, b.source_weight)
        and np.array_equal(a.target_bias, b.target_bias)
        for a, b in zip(*sides, strict=True)
    )


def key(i: int) -> str:
    return f"{i:064x}"


@pytest.mark.parametrize("seed", [0, 1])
def test_round_trip(tmp_path: Path, seed: int) -> None:
    cache = ObservationCache(tmp_path)
    assert cache.load(key(seed)) is None
    cache.store(key(seed), observation(seed), ABOUT, IDS)
    found = cache.load(key(seed))
    assert found is not None
    assert equal(found[0], observation(seed))
    assert found[1] == ABOUT
    with h5py.File(next(cache.entries())) as file:
        assert [name.decode() for name in file["sample_ids"]] == IDS


def damage(path: Path, how: str) -> None:
    raw = path.read_bytes()
    if how == "truncated":
        path.write_bytes(raw[: len(raw) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "another file":
        path.write_bytes(b"not HDF5 at all")
    elif how == "another key":
        path.write_bytes(raw.replace(key(1).encode(), key(2).encode()))
    else:
        with h5py.File(path, "r+") as file:
            if how == "a changed value":
                file["features"][0, 0] += 1
            elif how == "a changed affine":
                file["shifts/affines"][3, 0] += 1
            elif how == "a changed total":
                file["shifts/sums"][0, 1] = 9.0
            elif how == "a changed map":
                file["maps/3/features"][1, 0] += 1
            elif how == "a missing part":
                del file["labels"]
            elif how == "another format":
                file.attrs["format"] = 99


@pytest.mark.parametrize(
    "how",
    [
        *("truncated", "empty", "another file", "another key", "a changed value", "a changed affine"),
        *("a changed total", "a changed map", "a missing part", "another format"),
    ],
)
def test_damaged_or_foreign_files_are_not_believed_and_are_replaced(tmp_path: Path, how: str) -> None:
    cache = ObservationCache(tmp_path)
    cache.store(key(1), observation(1), ABOUT, IDS)
    damage(next(cache.entries()), how)
    assert cache.load(key(1)) is None
    cache.store(key(1), observation(1), ABOUT, IDS)
    assert cache.load(key(1)) is not None


def test_any_flipped_bit_of_the_data_is_noticed(tmp_path: Path) -> None:
    cache = ObservationCache(tmp_path)
    cache.store(key(1), observation(1, d=400), ABOUT, IDS)
    path = next(cache.entries())
    raw = path.read_bytes()
    rng = random.Random(0)
    for _ in range(60):
        place = rng.randrange(len(raw))
        path.write_bytes(raw[:place] + bytes([raw[place] ^ (1 << rng.randrange(8))]) + raw[place + 1 :])
        found = cache.load(key(1))
        assert found is None or equal(found[0], observation(1, d=400))


def store_forever(folder: Path, start: int) -> None:
    cache = ObservationCache(folder)
    for i in range(start, start + 10_000):
        cache.store(key(i), observation(i, d=2000), ABOUT, IDS)


@pytest.mark.slow
def test_fifty_kills_leave_nothing_that_is_wrongly_believed(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    rng = random.Random(1)
    for kill in range(50):
        writer = fork.Process(target=store_forever, args=(tmp_path, 7 * kill))
        writer.start()
        time.sleep(rng.uniform(0.0, 0.15))
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
    cache = ObservationCache(tmp_path)
    files = list(cache.entries())
    assert files
    for path in files:
        found = cache.load(path.stem)
        assert found is not None
        assert equal(found[0], observation(int(path.stem, 16), d=2000))
    cache.clear()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def store_some(folder: Path) -> int:
    cache = ObservationCache(folder)
    for i in range(20):
        cache.store(key(i), observation(i), ABOUT, IDS)
        found = cache.load(key(i))
        assert found is not None
        assert equal(found[0], observation(i))
    return os.getpid()


def test_several_processes_may_write_the_same_keys(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("fork")) as pool:
        assert all(pool.map(store_some, [tmp_path] * 3))
    assert len(list(ObservationCache(tmp_path).entries())) == 20


def test_hashes_are_remembered_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, path = ObservationCache(tmp_path / "cache").open(), tmp_path / "weights"
    path.write_bytes(b"one")
    monkeypatch.setattr("acrank.system.files.SETTLED_SECONDS", -1.0)
    first = cache.hash_of(path)
    monkeypatch.setattr("acrank.cache.sha256_of", lambda _: pytest.fail("hashed again"))
    assert ObservationCache(tmp_path / "cache").hash_of(path) == first
    monkeypatch.undo()
    path.write_bytes(b"two")  # same size, another time stamp
    assert cache.hash_of(path) != first


def test_a_file_just_written_is_hashed_each_time(tmp_path: Path) -> None:
    cache, path = ObservationCache(tmp_path / "cache").open(), tmp_path / "weights"
    path.write_bytes(b"one")
    stamp = path.stat().st_mtime_ns
    first = cache.hash_of(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(stamp, stamp))  # within the grain of a time stamp
    assert cache.hash_of(path) != first


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    make_zoo(tmp_path / "zoo")
    make_images(tmp_path / "target")
    return tmp_path


def words(*more: object) -> list[object]:
    return ["score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", "--samples", 18, *more]


def test_a_second_run_is_equal_and_loads_neither_torch_nor_timm_nor_an_image(folder: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "import sys; from acrank.cli import main; code = main(); print(*sys.modules, file=sys.stderr); sys.exit(code)",
    ]
    runs = []
    for name in ("first", "second"):
        # said, for else some images are looked at to tell whether classes are masks of each other
        arguments = map(str, words("--scores", "all", "--class-folders", "top", "-o", f"{name}.json"))
        runs.append(subprocess.run([*command, *arguments], capture_output=True, text=True, check=True))
    first, second = (Ranking.load(folder / f"{name}.json") for name in ("first", "second"))
    assert [(row.model, row.scores, row.layers, row.weights, row.params) for row in first.rows] == [
        (row.model, row.scores, row.layers, row.weights, row.params) for row in second.rows
    ]
    assert list(first.rows[0].details.input) == ["size", "in_chans", "mean", "std"]
    assert [row.details.cached for row in first.rows] == [False] * 3
    assert [row.details.cached for row in second.rows] == [True] * 3
    loaded = [set(run.stderr.splitlines()[-1].split()) for run in runs]
    assert {"torch", "PIL.Image"} <= loaded[0]
    assert loaded[1].isdisjoint({"torch", "timm", "torchvision", "PIL.Image"})


def test_other_scores_come_from_the_same_observations(acrank: Command, folder: Path) -> None:
    acrank(*words())
    done = acrank(*words("--scores", "knn,ac_corr"))
    assert done.code == 0, done.err
    assert all(row.details.cached for row in Ranking.load(folder / "run.json").rows)


def test_no_cache_neither_reads_nor_writes(acrank: Command, folder: Path, own_cache: Path) -> None:
    acrank(*words("--no-cache"))
    assert list(own_cache.iterdir()) == []
    acrank(*words())
    acrank(*words("--no-cache"))
    assert not any(row.details.cached for row in Ranking.load(folder / "run.json").rows)


def cached_after(acrank: Command, folder: Path, *more: object) -> dict[str, bool]:
    assert acrank(*words(*more)).code == 0
    return {row.model: row.details.cached for row in Ranking.load(folder / "run.json").rows}


def test_what_changes_the_result_is_observed_anew(acrank: Command, folder: Path) -> None:
    assert not any(cached_after(acrank, folder).values())
    assert all(cached_after(acrank, folder).values())
    for more in (
        ["--seed", 1],
        ["--step-size", 1],
        ["--head", "random"],
        ["--layers", "last"],
        ["--statistics", "source"],
    ):
        assert not any(cached_after(acrank, folder, *more).values()), more
    assert all(cached_after(acrank, folder).values())
    torch.save(network(77).state_dict(), folder / "zoo" / "net1.pth")
    assert cached_after(acrank, folder) == {"net0": True, "net1": False, "net2": True}
    image = folder / "target" / "class0" / "000.png"
    image.write_bytes((folder / "target" / "class2" / "001.png").read_bytes())
    for other in (folder / "target").rglob("*.png"):
        if other != image:
            other.write_bytes(other.read_bytes())
    assert not any(cached_after(acrank, folder, "--samples", 30).values())


def test_changed_code_of_a_factory_is_observed_anew(acrank: Command, folder: Path) -> None:
    cached_after(acrank, folder)
    path = folder / "zoo" / "small_networks.py"
    path.write_text(path.read_text() + "\n# changed\n")
    assert not any(cached_after(acrank, folder).values())


def test_code_that_is_not_allowed_is_not_served_from_the_cache(acrank: Command, folder: Path) -> None:
    cached_after(acrank, folder)
    done = acrank(*[word for word in words() if word != "--allow-code"])
    assert done.code == 3
    assert "--allow-code" in done.err


def test_a_wrong_hash_in_the_manifest_is_not_served_from_the_cache(acrank: Command, folder: Path) -> None:
    cached_after(acrank, folder)
    write_zoo(folder / "zoo", entry("net0", sha256="0" * 64, reference={"accuracy": 50.0}))
    assert acrank(*words(), "--overwrite").code == 3


def test_names_and_references_do_not_matter_to_the_key(folder: Path, own_cache: Path) -> None:
    cache, settings = ObservationCache(own_cache), Settings(allow_code=True).for_task("classification")
    (draw,) = make_draws(open_target(folder / "target"), samples=18, repeats=1, seed=0)
    keys = []
    for name in ("one", "other"):
        path = write_zoo(folder / "zoo", entry(name, weights="net0.pth", tags=[name]))
        identity = identity_of(load_zoo(path).candidates[0], settings, cache)
        assert identity is not None
        keys.append(key_of(identity, draw, settings))
    assert keys[0] == keys[1]


def test_commands(acrank: Command, folder: Path, own_cache: Path) -> None:
    assert acrank("cache", "path").out == f"{own_cache}\n"
    cached_after(acrank, folder)
    listed = json.loads(acrank("cache", "list", "-f", "json").out)["observations"]
    of_draws = [one for one in listed if one["images"]]
    assert [(one["images"], one["features"], one["layers"]) for one in of_draws] == [(18, 16, 2)] * 3
    assert len(listed) == 6  # and the drift of each of three checkpoints, which is of no target
    done = acrank("cache", "clear")
    assert done.err == f"removed 6 observations from {own_cache}\n"
    empty = {"kind": "acrank-cache", "schema_version": 1, "observations": []}
    assert json.loads(acrank("cache", "list", "-f", "json").out) == empty


def test_the_drift_of_a_checkpoint_serves_every_target(acrank: Command, folder: Path, own_cache: Path) -> None:
    """Another target and another seed give observations anew, and the drift from the cache."""
    cached_after(acrank, folder)
    before = {path: path.stat().st_mtime_ns for path in own_cache.rglob("*.h5")}
    make_images(folder / "other", each=11, size=22)
    assert acrank(*(word if word != "target" else "other" for word in words()), "--seed", 3, "--overwrite").code == 0
    cache = ObservationCache(own_cache)
    fresh = [path for path in own_cache.rglob("*.h5") if path not in before]
    assert fresh
    assert all(len(entry[0].labels) for path in fresh if (entry := cache.load(path.stem)))
    drifts = [entry[0] for path in before if (entry := cache.load(path.stem)) and not len(entry[0].labels)]
    assert len(drifts) == 3
    assert all(one.random_head_shifts and not one.shifts for one in drifts)
