"""The manifest: what it accepts, what it refuses, and how it says so."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acrank.errors import ManifestError, UsageError
from acrank.system.yaml_reader import read_yaml
from acrank.zoo import Candidate, load_zoo

FULL = """\
version: 1
defaults:
  license: mit
  tags: [ours]
  min_match: 0.8
models:
  - id: r18
    source: resnet18.a1_in1k
    reference: {imagenet: 71.5, flops: 2}
  - id: hub
    source: hf-hub:org/name@v1
    tags: [ours, hub]
  - id: moco
    architecture: resnet50
    weights: moco.pth.tar
    weights_key: state_dict
    keep_prefix: module.encoder_q.
    strip_prefix: module.encoder_q.
    rename:
      ^b: c
      ^a: b
    sha256: "AAAAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    in_chans: 1
    input: {size: [200, 100], mean: 0.5, std: [0.25]}
    min_match: 1.0
    license: other
  - id: mine
    architecture: factory:package.nets:net
    factory_args: {depth: 4, wide: true}
    weights: w
"""


@pytest.fixture
def manifest(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "model_zoo.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def one(text: str) -> str:
    return f"version: 1\nmodels:\n  - {{id: a, {text}}}\n"


def test_every_field_is_read(manifest) -> None:
    path = manifest(FULL)
    zoo = load_zoo(path)
    r18, hub, moco, mine = zoo.candidates
    assert (zoo.path, zoo.sha256) == (path, hashlib.sha256(FULL.encode()).hexdigest())
    assert (r18.network, r18.license, r18.tags, r18.min_match) == ("resnet18.a1_in1k", "mit", ("ours",), 0.8)
    assert r18.reference == {"imagenet": 71.5, "flops": 2.0}
    assert r18.weights_path is None
    assert hub.tags == ("ours", "hub")
    assert moco.weights_path == path.parent / "moco.pth.tar"
    assert (moco.input.size, moco.input.mean, moco.input.std) == ((200, 100), (0.5,), (0.25,))
    assert (moco.in_chans, moco.min_match, moco.license, moco.sha256) == (1, 1.0, "other", "a" * 64)
    assert list(moco.rename.items()) == [("^b", "c"), ("^a", "b")]
    assert mine.factory == ("package.nets", "net")
    assert mine.factory_args == {"depth": 4, "wide": True}


def test_candidates_survive_pickling(manifest) -> None:
    candidates = load_zoo(manifest(FULL)).candidates
    assert pickle.loads(pickle.dumps(candidates)) == candidates


def test_one_number_is_a_square(manifest) -> None:
    (only,) = load_zoo(manifest(one("source: resnet18, input: {size: 96}"))).candidates
    assert only.input.size == (96, 96)


def test_local_dir_starts_from_the_manifest(manifest) -> None:
    path = manifest(one("source: 'local-dir:sub/net'"))
    assert load_zoo(path).candidates[0].local_dir == path.parent / "sub/net"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (one("source: x, wieghts: w"), 3, "unknown key 'wieghts'"),
        (one("source: x, input: {men: 1}"), 3, "unknown key 'men'"),
        (one("source: x, source: y"), 3, "duplicate key 'source' (first on line 3)"),
        (one("license: mit"), 3, "needs `source`, or `architecture` and `weights`"),
        (one("source: x, weights: w"), 3, "cannot have `architecture` or `weights`"),
        (one("architecture: x"), 3, "no `weights`"),
        (one("architecture: x, weights: w, factory_args: {a: 1}"), 3, "no `factory:module:function`"),
        (one("architecture: 'factory:nets', weights: w"), 3, "neither a timm architecture nor"),
        (one("architecture: a/b, weights: w"), 3, "neither a timm architecture nor"),
        (one("source: 'torchvision:resnet18'"), 3, "needs `weights`: torchvision's files are not downloaded"),
        (one("source: 'torchvision:mobilenet-v2', weights: w"), 3, "is not a name like `torchvision:mobilenet_v2`"),
        (one("source: org/name"), 3, "write `hf-hub:org/name`"),
        (one("source: 'http://x/y'"), 3, "is not a timm name"),
        (one("source: 'hf-hub:'"), 3, "is not a timm name"),
        (one("source: 'hf-hub:a/b@c@d'"), 3, "misplaced '@'"),
        (one("source: x, sha256: abc"), 3, "64 hexadecimal digits"),
        (one("source: x, in_chans: 0"), 3, "greater than 0"),
        (one("source: x, in_chans: '3'"), 3, "valid integer"),
        (one("source: x, min_match: 1.5"), 3, "less than or equal to 1"),
        (one("source: x, input: {std: 0}"), 3, "greater than 0"),
        (one("source: x, in_chans: 1, input: {mean: [1, 2]}"), 3, "input.mean has 2 values for 1 channels"),
        (one("source: x, rename: {'(': y}"), 3, "not a valid substitution"),
        (one("source: x, rename: {'a': '\\2'}"), 3, "not a valid substitution"),
        (one("source: x, reference: {acc: .nan}"), 3, "finite number"),
        (one("source: x, tags: [3]"), 3, "valid string"),
        ("version: 1\nmodels:\n  - {source: x}\n", 3, "`id`: field required"),
        ("version: 1\nmodels:\n  - {id: 7, source: x}\n", 3, "valid string"),
        ('version: 1\nmodels:\n  - {id: "a\\nb", source: x}\n', 3, "one line of printable text"),
        ("version: 1\nmodels:\n  - {id: a, source: x}\n  - {id: b, source: x}\n  - {id: a, source: x}\n", 5, "'a' on"),
        ("version: 1\nmodels:\n  - resnet18\n", 3, "model 1: is not a mapping"),
        ("version: 1\nmodels: []\n", 2, "at least one model"),
        ("version: 2\nmodels:\n  - {id: a, source: x}\n", 1, "`version` is 2"),
        ("version: true\nmodels:\n  - {id: a, source: x}\n", 1, "`version` is True"),
        ("models:\n  - {id: a, source: x}\n", 1, "`version` is missing"),
        ("version: 1\ndefault: {}\nmodels:\n  - {id: a, source: x}\n", 2, "unknown key 'default'"),
        ("version: 1\ndefaults: {id: b}\nmodels:\n  - {id: a, source: x}\n", 2, "`id` has no default"),
        ("version: 1\ndefaults: 3\nmodels:\n  - {id: a, source: x}\n", 2, "`defaults` must be a mapping"),
        ("version: 1\ndefaults:\n  tgas: [b]\nmodels:\n  - {id: a, source: x}\n", 3, "defaults: unknown key 'tgas'"),
        ("- 1\n", 1, "is not a mapping"),
        ("", 1, "is not a mapping"),
        ("a: [1\nb: 2\n", 2, "not valid YAML"),
        ("a: !!python/object/apply:os.getcwd []\n", 1, "not valid YAML"),
    ],
)
def test_what_is_refused_names_file_line_and_reason(manifest, text: str, line: int, said: str) -> None:
    path = manifest(text)
    with pytest.raises(ManifestError) as caught:
        load_zoo(path)
    assert caught.value.message.startswith(f"{path}:{line}: ")
    assert said in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_the_model_is_named_and_the_close_key_suggested(manifest) -> None:
    with pytest.raises(ManifestError) as caught:
        load_zoo(manifest(one("source: x, licence: mit")))
    assert "model 'a'" in caught.value.message
    assert caught.value.hint == "did you mean 'license'?"


def test_further_problems_are_counted(manifest) -> None:
    with pytest.raises(ManifestError, match=r"\(and 1 more problem\)"):
        load_zoo(manifest(one("source: x, a: 1, b: 2")))


def test_a_wrong_default_is_one_problem_however_many_models_have_it(manifest) -> None:
    text = "version: 1\ndefaults: {min_match: 3}\nmodels:\n  - {id: a, source: x}\n  - {id: b, source: x}\n"
    with pytest.raises(ManifestError) as caught:
        load_zoo(manifest(text))
    assert ":2: defaults: `min_match`" in caught.value.message
    assert "more problem" not in caught.value.message


def test_missing_and_undecodable_files(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="No such file"):
        load_zoo(tmp_path / "nowhere.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"version: 1 # \xe9")
    with pytest.raises(ManifestError, match="not UTF-8"):
        load_zoo(tmp_path / "latin.yaml")


def test_aliases_without_end_are_refused_in_time(manifest) -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))
    with pytest.raises(ManifestError):
        load_zoo(manifest(bomb))
    with pytest.raises(ManifestError):
        load_zoo(manifest("version: 1\nmodels: &a [*a]\n"))


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_the_reader_agrees_with_yaml_on_any_data(data: object) -> None:
    import yaml

    document = read_yaml(yaml.safe_dump(data))
    assert document.data == data
    assert not document.problems


def test_select(manifest) -> None:
    zoo = load_zoo(manifest(FULL))

    def ids(*args: object, **options: object) -> list[str]:
        return [candidate.id for candidate in zoo.select(*args, **options).candidates]  # type: ignore[arg-type]

    assert ids() == ["r18", "hub", "moco", "mine"]
    assert ids(["mine", "r18"]) == ["r18", "mine"]
    assert ids(["m*"]) == ["moco", "mine"]
    assert ids(tags=["ours", "hub"]) == ["hub"]
    with pytest.raises(UsageError) as caught:
        ids(["moko"])
    assert caught.value.hint == "did you mean 'moco'?"
    with pytest.raises(UsageError, match=r"no model of .* has the tag 'hubb'"):
        ids(tags=["hubb"])
    with pytest.raises(UsageError, match="has all of these"):
        ids(["r18"], ["hub"])


def test_an_id_with_brackets_is_taken_literally_first(manifest) -> None:
    text = "version: 1\nmodels:\n  - {id: 'net[1]', source: x}\n  - {id: net1, source: x}\n"
    (only,) = load_zoo(manifest(text)).select(["net[1]"]).candidates
    assert only.id == "net[1]"


def test_a_candidate_can_be_made_without_a_manifest() -> None:
    assert Candidate(id="a", architecture="resnet18", weights="/w/a.pth").weights_path == Path("/w/a.pth")


def test_the_digest_is_that_of_the_entry_wherever_it_lies() -> None:
    one, other = (Candidate(id="a", source="x", folder=folder) for folder in (Path("/one"), Path("/other")))
    assert one.digest == other.digest == "30ec917d97e998c7565ab595f54efbecc99db333e70d3a420ea9edbbb983e731"
    assert Candidate(id="a", source="x", in_chans=1).digest != one.digest


LIGHT = """
import sys
from acrank.zoo import load_zoo
{}
print(sorted({{"torch", "timm", "pandas", "h5py"}} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("extra", "expected"), [("pass", "[]"), ("from acrank.zoo import load_candidate", "['torch']")]
)
def test_the_manifest_imports_nothing_heavy(extra: str, expected: str) -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT.format(extra)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
