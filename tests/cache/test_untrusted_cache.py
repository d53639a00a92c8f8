"""What lies in the cache's folder costs a recomputation at most: never a wrong value, a skipped row or another's file.

Each test scores a real zoo with whole commands, spoils the cache, and holds the next run against the first.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.workbench import Outcome, entry, make_images, make_zoo, network, write_zoo

from acrank.cache import ObservationCache, default_folder
from acrank.records import Ranking, Value
from acrank.system.sealed_folder import SealedFolder

Command = Callable[..., Outcome]
NOBODY = 65534


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    monkeypatch.setattr("acrank.system.files.SETTLED_SECONDS", -1.0)  # hashes are remembered
    make_zoo(tmp_path / "zoo", count=2)
    make_images(tmp_path / "target")
    return tmp_path


def words(*more: object) -> list[str]:
    samples = ("--samples", 18, "--repeats", 1, "--scores", "finetunability,logme,etran,ac_corr")
    return [*map(str, ("score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", *samples, *more))]


def scored(acrank: Command, *more: object) -> tuple[dict[str, dict[str, Value]], str]:
    """Values by model, and stderr; every row must be scored."""
    done = acrank(*words(*more))
    assert done.code == 0, done.err
    ranking = Ranking.load(Path("run.json"))
    assert [row.status for row in ranking.rows] == ["scored"] * 2
    return {row.model: row.scores for row in ranking.rows}, done.err


def warnings_in(err: str) -> list[str]:
    return [line for line in err.splitlines() if line.startswith("warning:") and "cache" in line]


def files_of(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


# --- what it holds ----------------------------------------------------------------------------------------------------


def test_the_files_are_of_few_kinds_and_all_belong_to_the_user_alone(
    acrank: Command, folder: Path, own_cache: Path
) -> None:
    scored(acrank)
    kinds = {(path.relative_to(own_cache).parts[0], path.suffix) for path in files_of(own_cache)}
    of_observations = {("observations", suffix) for suffix in (".h5", ".values", ".target")}
    assert kinds == {*of_observations, ("weights", ".stamp")}
    assert {oct(path.stat().st_mode & 0o777) for path in files_of(own_cache)} == {"0o600"}
    assert {oct(path.stat().st_mode & 0o777) for path in own_cache.rglob("*") if path.is_dir()} == {"0o700"}


# --- damage -----------------------------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[:-20] + bytes([raw[-20] ^ 4]) + raw[-19:])


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a flipped bit": flip,
    "cut": lambda path: os.truncate(path, path.stat().st_size - 1),
    "cut in the header": lambda path: os.truncate(path, 100),
    "empty": lambda path: path.write_bytes(b""),
    "other text": lambda path: path.write_text("[1, 2]"),
    "huge": lambda path: os.truncate(path, 2**40),
    "a folder": make_folder,
    "a FIFO": make_fifo,
}


@pytest.mark.parametrize("how", DAMAGES)
def test_any_file_damaged_costs_a_recomputation(acrank: Command, folder: Path, own_cache: Path, how: str) -> None:
    values, _ = scored(acrank)
    for path in files_of(own_cache):
        DAMAGES[how](path)
    found, err = scored(acrank)
    assert found == values
    assert len(warnings_in(err)) == (how == "a folder")  # it cannot be replaced by a file
    assert acrank("cache", "list").code == 0
    assert acrank("cache", "clear").code == 0


def test_changed_numbers_in_a_values_file_are_not_believed(acrank: Command, folder: Path, own_cache: Path) -> None:
    values, _ = scored(acrank)
    for path in own_cache.glob("observations/*/*.values"):
        path.write_bytes(path.read_bytes().replace(b"[0.", b"[9."))
    found, err = scored(acrank)
    assert found == values
    assert warnings_in(err) == []


@pytest.mark.parametrize(
    "values",
    [[], 7, None, {"shape": 1}, {"label": []}, {"label": [1]}, {"label": "x"}, {"label": [True, None, []]}],
    ids=str,
)
def test_values_of_another_shape_skip_no_candidate(acrank: Command, folder: Path, own_cache: Path, values: Any) -> None:
    """As a later version, or a person who writes a valid header, could leave them."""
    before, _ = scored(acrank)
    files = SealedFolder(own_cache)
    for path in own_cache.glob("observations/*/*.values"):
        name = path.relative_to(own_cache).as_posix()
        record = json.loads(files.read(name) or b"")
        one_for_all = isinstance(values, dict) and "label" in values
        spoilt = dict.fromkeys(record["values"], values["label"]) if one_for_all else values
        files.write(name, json.dumps({**record, "values": spoilt}).encode())
    assert scored(acrank)[0] == before


def test_values_are_believed_beside_their_own_observation_only(tmp_path: Path, folder: Path, acrank: Command) -> None:
    scored(acrank)
    found = [entry for path in ObservationCache().entries() if (entry := ObservationCache().load(path.stem))]
    cache, one, other = ObservationCache(tmp_path / "cache"), "1" * 64, "2" * 64
    for key, (observation, info) in zip((one, other), found, strict=False):
        cache.store(key, observation, info, [])
    cache.store_values({"logme": [1.0, None, []]}, one)
    assert cache.load_values(one)
    assert cache.load_values(other) == cache.load_values(one, other) == {}
    observation, info = found[1]
    cache.store(one, observation, info, [])  # observed anew, with another result
    assert cache.load_values(one) == {}
    cache.store_values({"logme": [1.0, None, []]}, one, "3" * 64)  # the cache lacks one of the two
    assert cache.load_values(one, "3" * 64) == {}


def test_a_hash_of_another_file_gives_no_candidate_its_value(acrank: Command, folder: Path, own_cache: Path) -> None:
    values, _ = scored(acrank)
    assert values["net0"] != values["net1"]
    first, second = own_cache.glob("weights/*/*.stamp")
    shutil.copyfile(first, second)
    assert scored(acrank)[0] == values


def test_a_hash_is_forgotten_with_every_change_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another file of the same size and time, too."""
    monkeypatch.setattr("acrank.system.files.SETTLED_SECONDS", -1.0)
    cache, path = ObservationCache(tmp_path / "cache"), tmp_path / "weights"
    path.write_bytes(b"one")
    os.utime(path, (1_000_000, 1_000_000))
    first = cache.hash_of(path)
    (tmp_path / "other").write_bytes(b"two")
    os.utime(tmp_path / "other", (1_000_000, 1_000_000))
    (tmp_path / "other").rename(path)
    assert cache.hash_of(path) != first


# --- others' files ----------------------------------------------------------------------------------------------------


def test_clear_removes_nothing_but_its_own(acrank: Command, folder: Path, own_cache: Path) -> None:
    scored(acrank)
    theirs = {
        "weights.json": "a list of weights",
        "observations/ab/notes.txt": "of a person",
        "observations/ab/table.h5": "of a person",
        "weights/cd/birds.stamp": "of a person",
        "observations/readme": "of a person",
    }
    for name, text in theirs.items():
        (own_cache / name).parent.mkdir(exist_ok=True)
        (own_cache / name).write_text(text)
    (own_cache / "observations/ab/folder.h5").mkdir()
    away = folder / "away"
    (away / "inner").mkdir(parents=True)
    one = next(own_cache.glob("observations/*/*.h5"))
    shutil.copyfile(one, away / "inner" / "copy.h5")  # it begins like acrank's own
    (own_cache / "observations/link").symlink_to(away / "inner")
    (own_cache / "observations/ab/link.h5").symlink_to(away / "inner" / "copy.h5")
    done = acrank("cache", "clear")
    assert done.code == 0
    assert done.err == (
        f"removed 4 observations from {own_cache}\nleft 6 files there that are not acrank's own, or are damaged\n"
    )
    assert {name: (own_cache / name).read_text() for name in theirs} == theirs
    assert (away / "inner" / "copy.h5").is_file()
    assert (own_cache / "observations/ab/folder.h5").is_dir()
    assert (own_cache / "observations/ab/link.h5").is_symlink()
    assert len(files_of(own_cache)) == len(theirs) + 1


@pytest.mark.parametrize("place", ["observations", "weights"])
def test_nothing_is_read_or_written_through_a_link(acrank: Command, folder: Path, own_cache: Path, place: str) -> None:
    values, _ = scored(acrank)
    (own_cache / place).rename(folder / "away")
    (own_cache / place).symlink_to(folder / "away")
    before = {path: path.stat().st_mtime_ns for path in files_of(folder / "away")}
    found, err = scored(acrank)
    assert found == values
    assert len(warnings_in(err)) == 1
    assert acrank("cache", "clear").code == 0
    assert {path: path.stat().st_mtime_ns for path in files_of(folder / "away")} == before


# --- which folder -----------------------------------------------------------------------------------------------------


def test_an_empty_variable_is_the_default_folder(
    acrank: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACRANK_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "home"))
    (folder / "observations" / "ab").mkdir(parents=True)
    (folder / "observations" / "ab" / "mine.h5").write_text("mine")
    assert acrank("cache", "path").out == f"{folder}/home/acrank\n"
    scored(acrank)
    assert acrank("cache", "clear").err == f"removed 4 observations from {folder}/home/acrank\n"
    assert (folder / "observations" / "ab" / "mine.h5").read_text() == "mine"


def test_no_home_is_no_cache(acrank: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values, _ = scored(acrank)
    monkeypatch.delenv("ACRANK_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    found, err = scored(acrank)
    assert found == values
    assert len(warnings_in(err)) == 1
    assert acrank("cache", "path").code == 2


def spoil(folder: Path, how: str) -> str:
    """A path for the cache that cannot be used."""
    if how == "a file":
        (folder / "place").write_text("")
    elif how == "open to all":
        (folder / "place").mkdir()
        (folder / "place").chmod(0o777)
    elif how == "another user's":
        if os.geteuid() != 0:
            return "/usr"
        (folder / "place").mkdir()
        os.chown(folder / "place", NOBODY, NOBODY)
    elif how == "no such device":
        return "/proc/acrank"
    elif how == "overlong":
        return str(folder / ("n" * 300))
    elif how == "a link to itself":
        (folder / "place").symlink_to("place")
    return str(folder / "place")


@pytest.mark.parametrize(
    "how", ["a file", "open to all", "another user's", "no such device", "overlong", "a link to itself"]
)
def test_a_folder_that_cannot_be_used_is_said_once_and_costs_no_run(
    acrank: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    values, _ = scored(acrank)
    monkeypatch.setenv("ACRANK_CACHE", spoil(folder, how))
    found, err = scored(acrank)
    assert found == values
    (told,) = warnings_in(err)
    assert "ACRANK_CACHE" in told
    assert not (folder / "place").is_dir() or list((folder / "place").iterdir()) == []
    if how != "no such device":  # there is nothing to list or clear
        for command in ("list", "clear"):
            done = acrank("cache", command)
            assert (done.code, done.out) == (2, "")
            assert done.err.startswith("error: cannot use the cache")


def obey_modes() -> None:
    """Make the superuser an ordinary one before files: the next program may not have the capabilities for them."""
    if os.geteuid() == 0:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, taken by PR_CAPBSET_DROP
            assert ctypes.CDLL(None, use_errno=True).prctl(24, capability, 0, 0, 0) == 0


def test_an_ordinary_user_who_may_only_read_the_cache_runs_with_one_warning(
    acrank: Command, folder: Path, own_cache: Path
) -> None:
    values, _ = scored(acrank)

    def again(*more: str) -> list[str]:
        command = [sys.executable, "-m", "acrank", *words(*more)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=obey_modes)
        assert done.returncode == 0, done.stderr
        assert {row.model: row.scores for row in Ranking.load(Path("run.json")).rows} == values
        return warnings_in(done.stderr)

    for path in [own_cache, *own_cache.rglob("*")]:
        path.chmod(0o500 if path.is_dir() else 0o400)
    before = files_of(own_cache)
    assert again() == []  # what is there serves
    next(own_cache.glob("observations/*/*.h5")).parent.chmod(0o000)
    (told,) = again()
    assert "Permission denied" in told
    for path in own_cache.rglob("*"):
        path.chmod(0o700)
    assert files_of(own_cache) == before


# --- two at once ------------------------------------------------------------------------------------------------------


def test_two_commands_at_once_and_a_third_that_clears_give_the_values_of_one(acrank: Command, folder: Path) -> None:
    for i in range(2, 5):
        torch.save(network(i).state_dict(), folder / "zoo" / f"net{i}.pth")
    write_zoo(folder / "zoo", *(entry(f"net{i}") for i in range(5)))
    assert acrank(*words("--no-cache")).code == 0
    alone = {row.model: row.scores for row in Ranking.load(Path("run.json")).rows}
    outputs = [folder / f"{i}.json" for i in range(2)]
    runs = [
        subprocess.Popen([sys.executable, "-m", "acrank", *words("-o", path)], stderr=subprocess.PIPE, text=True)
        for path in outputs
    ]
    while any(run.poll() is None for run in runs):
        assert acrank("cache", "list").code == 0
        assert acrank("cache", "clear").code == 0
    for run, path in zip(runs, outputs, strict=True):
        assert run.returncode == 0, run.stderr and run.stderr.read()
        assert {row.model: row.scores for row in Ranking.load(path).rows} == alone
        run.communicate()


def test_a_relative_shared_cache_counts_as_unset_and_a_tilde_is_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ACRANK_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_folder() == tmp_path / ".cache" / "acrank"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    assert default_folder() == tmp_path / "shared" / "acrank"
    monkeypatch.setenv("ACRANK_CACHE", "~/own")
    assert default_folder() == tmp_path / "own"
