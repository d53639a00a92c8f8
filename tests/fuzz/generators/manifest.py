"""Manifests: odd values, odd YAML, foreign code, downloads, and expressions that never end."""

from __future__ import annotations

import json
import os
from typing import Any

import yaml

from fuzz.case import Case
from fuzz.odd import HOSTILE, WORDS, changed, damaged, instead_of_file, odd
from fuzz.workspace import Workspace, move


def _command(w: Workspace, zoo: Any, **known: Any) -> Case:
    """Any command that reads a manifest."""
    kind = w.random.randrange(4)
    if kind == 0:
        return w.case("zoo", "list", "--zoo", zoo, **known)
    if kind == 1:
        return w.case("zoo", "validate", "--zoo", zoo, **known)
    return w.score(zoo=zoo, **known)


def _models(w: Workspace) -> list[dict[str, Any]]:
    more = {"in_chans": 3, "license": "MIT", "tags": ["x"], "reference": {"top1": 76.1}, "min_match": 0.9}
    names = {"strip_prefix": "module.", "rename": {"^x": "y"}, "weights_key": "model"}
    wanted = w.random.sample(sorted({**more, **names}), 3)
    return [w.materials.entry("a", **{name: {**more, **names}[name] for name in wanted}), w.materials.entry("b")]


@move
def sound(w: Workspace) -> Case:
    """Two candidates with what a manifest may say of them."""
    more = {"in_chans": 3, "license": "MIT", "tags": ["x"], "reference": {"top1": 76.1}, "allow_unused": True}
    return _command(w, w.write_zoo(w.materials.entry("a", **more), w.materials.entry("b")), sound=True)


@move
def odd_values(w: Workspace) -> Case:
    """Places of a sound manifest hold something else."""
    tree = changed({"version": 1, "defaults": {"input": {"size": 32}}, "models": _models(w)}, w.random)
    path = w.folder / "zoo.yaml"
    text = json.dumps(tree) if w.random.random() < 0.3 else yaml.dump(tree, allow_unicode=True)
    path.write_text(text, errors="surrogatepass")
    return _command(w, path, network=True)  # a source by name is looked up


@move
def odd_field(w: Workspace) -> Case:
    """One field of an entry, known or not, holds an odd value."""
    fields = ("id", "source", "architecture", "weights", "sha256", "input", "in_chans", "min_match", "allow_unused")
    more = ("factory_args", "weights_key", "keep_prefix", "strip_prefix", "rename", "license", "tags", "reference")
    entry = {**w.materials.entry("a"), w.random.choice((*fields, *more)): odd(w.random)}
    return _command(w, w.write_zoo(entry, w.materials.entry("b")), network=True)


@move
def odd_input(w: Workspace) -> Case:
    """Sizes, means and deviations that no network has."""
    given = {
        "size": w.random.choice((0, -1, 1, 2**31, 10**12, [32, 0], [32] * 3, [32] * 9, "32", 32.5, 100_000)),
        "mean": w.random.choice(([0.5] * 3, [float("nan")] * 3, [1e308] * 3, [0.5] * 1000, "x", [])),
        "std": w.random.choice(([0.5] * 3, [0.0] * 3, [-1.0] * 3, [float("inf")] * 3, [1e-320] * 3)),
    }
    return _command(w, w.write_zoo(w.materials.entry("a", input=given), w.materials.entry("b")))


@move
def damaged_bytes(w: Workspace) -> Case:
    """Bytes of a sound manifest are flipped, cut or overwritten."""
    path = w.folder / "zoo.yaml"
    path.write_bytes(damaged(w.materials.zoo.read_bytes(), w.random))
    return _command(w, path, network=True)


@move
def odd_yaml(w: Workspace) -> Case:
    """YAML that a parser fails on, or takes for something else."""
    texts = (
        *("!!bool x", "!!timestamp x", "!!int x", "!!float x", "!!binary x", "!!set {a, a}", "!!omap [1]", "&a [*a]"),
        *("!!python/object/apply:os.system ['touch PWNED']", "!!python/name:os.system", "!!merge <<", "? [a, b]"),
        *("{<<: 1}", "{<<: [{a: 1}, 2]}", "0o99999999", "1:99:99", "2001-99-99", "\\x00", "'\\ud800'", '"\\ud800"'),
        *("[" * 5000, "{a: " * 2000, "- " * 5000, "%YAML 9.9\n---\n", "---\n---\n", "\t", "\ufeff\ufeff", "a: b: c"),
    )
    text = w.random.choice(texts)
    place = w.random.choice(
        ("{}", "version: {}\nmodels: []", "version: 1\nmodels: {}", "version: 1\nmodels: [{{id: {}}}]")
    )
    path = w.folder / "zoo.yaml"
    path.write_text(place.format(text))
    return _command(w, path, nonsense=True)


@move
def alias_bomb(w: Workspace) -> Case:
    """Aliases of aliases, GiB once written out."""
    width, depth = w.random.choice(((9, 9), (2, 40), (10, 12)))
    lines = ["version: 1", "a0: &a0 [" + ", ".join(["lol"] * width) + "]"]
    lines += [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * width) + "]" for i in range(1, depth)]
    field = w.random.choice(("models", "tags", "id", "weights", "input"))
    last = f"*a{depth - 1}"
    lines.append(f"models: {last}" if field == "models" else f"models: [{{id: a, source: x, {field}: {last}}}]")
    path = w.folder / "zoo.yaml"
    path.write_text("\n".join(lines))
    return _command(w, path, nonsense=True)


@move
def no_file(w: Workspace) -> Case:
    """The manifest is a folder, a device, a FIFO, or endless."""
    instead_of_file(w.folder / "zoo.yaml", w.random)
    return _command(w, "zoo.yaml", nonsense=True)


@move
def odd_weights_path(w: Workspace) -> Case:
    """Weights that are no file."""
    paths = (*WORDS, "/dev/stdin", "/proc/self/mem", "/proc/kcore", "\0", "a\0b", ".", "zoo.yaml", "\ud800")
    word = w.random.choice(paths)
    zoo = w.write_zoo(w.materials.entry("a", weights=word), w.materials.entry("b"))
    return _command(w, zoo, unranked=("a",))


@move
def odd_weights_kind(w: Workspace) -> Case:
    """Weights that are a device, a FIFO, a link to itself."""
    instead_of_file(w.folder / "a.pth", w.random)
    return _command(w, w.write_zoo(w.materials.entry("a", weights="a.pth"), w.materials.entry("b")), unranked=("a",))


@move
def code(w: Workspace) -> Case:
    """A factory without --allow-code."""
    (w.folder / "evil.py").write_text("open('PWNED', 'w')\ndef build(**args): open('PWNED', 'w')\n")
    words = ("factory:evil:build", "factory:os:system", "factory:../x/evil:build", "factory:evil", "factory::")
    entry = w.materials.entry("a", architecture=w.random.choice(words))
    return _command(w, w.write_zoo(entry, w.materials.entry("b")), unranked=("a",))


@move
def foreign_configuration(w: Workspace) -> Case:
    """A local-dir: whose config.json names files, code or addresses."""
    (w.folder / "model").mkdir()
    (w.folder / "model" / "evil.pth").write_bytes(PICKLE)
    args: dict[str, Any] = {
        "checkpoint_path": str(w.folder / "model" / "evil.pth"),
        "pretrained": True,
        "pretrained_cfg": {"url": "http://192.0.2.1/x.pth", "file": str(w.folder / "model" / "evil.pth")},
        "pretrained_cfg_overlay": {"url": "file:///etc/passwd"},
        "features_only": True,
        "scriptable": True,
        "norm_layer": odd(w.random),
        "depths": [10**9],
        "width": 10**9,
    }
    chosen = {name: args[name] for name in w.random.sample(sorted(args), w.random.choice((1, 2, 3)))}
    config = {"architecture": "test_efficientnet", "num_classes": 3, "model_args": chosen, "pretrained_cfg": {}}
    if w.random.random() < 0.3:
        config = changed(config, w.random)
    (w.folder / "model" / "config.json").write_text(json.dumps(config))
    source = w.materials.folder / "a.safetensors"
    os.link(source, w.folder / "model" / "model.safetensors")
    return _command(w, w.write_zoo({"id": "a", "source": "local-dir:model"}, w.materials.entry("b")))


@move
def foreign_source(w: Workspace) -> Case:
    """A local-dir: or hf-hub: that leads elsewhere."""
    words = (
        "local-dir:/",
        "local-dir:/dev/zero",
        "local-dir:..",
        "local-dir:",
        "local-dir:\0",
        "hf-hub:../..",
        "hf-hub:",
    )
    more = (
        "hf-hub:a/b@" + "x" * 5000,
        "hf-hub:a/b/c/d",
        "timm/x",
        "torchvision:os",
        "smp:Unet/../x",
        "monai:os.system",
    )
    source = w.random.choice((*words, *more, *HOSTILE))
    zoo = w.write_zoo({"id": "a", "source": source}, w.materials.entry("b"))
    return _command(w, zoo, unranked=("a",), network=source.startswith(("hf-hub:", "timm/")))


@move
def library_arguments(w: Workspace) -> Case:
    """Networks of libraries with arguments that name files, addresses or pretrained weights."""
    address = w.random.choice(("http://192.0.2.1/x", "file:///etc/passwd", "ftp://192.0.2.1/x"))
    pairs: tuple[tuple[str, dict[str, Any]], ...] = (
        ("monai:HoVerNet", {"pretrained_url": address}),
        ("monai:DenseNet121", {"spatial_dims": 2, "in_channels": 3, "out_channels": 2, "pretrained": True}),
        ("monai:resnet18", {"pretrained": "evil.pth"}),
        ("monai:SegResNet", {"init_filters": 10**9}),
        (
            "monai:UNet",
            {"spatial_dims": 2, "in_channels": 3, "out_channels": 2, "channels": [10**6] * 3, "strides": [2, 2]},
        ),
        ("smp:Unet/resnet18", {"encoder_weights": "imagenet"}),
        ("smp:Unet/tu-local-dir:evil", {}),
        ("smp:Unet/tu-hf-hub:a/b", {}),
        ("smp:Unet/tu-resnet18", {"encoder_weights": "imagenet"}),
        ("test_efficientnet", {"checkpoint_path": "evil.pth"}),
        ("test_efficientnet", {"pretrained": True}),
        ("test_efficientnet", {"pretrained_cfg": {"url": address}}),
        ("torchvision:resnet18", {"weights": "IMAGENET1K_V1"}),
        ("torchvision:mobilenet_v2", {"weights_backbone": "DEFAULT"}),
    )
    architecture, args = w.random.choice(pairs)
    (w.folder / "evil.pth").write_bytes(PICKLE)
    entry = w.materials.entry("a", architecture=architecture, factory_args=args)
    return _command(w, w.write_zoo(entry, w.materials.entry("b")), unranked=("a",))


@move
def endless_expression(w: Workspace) -> Case:
    """A `rename` whose expression takes exponential time."""
    expressions = (
        "(a|a)+$",
        "^(([a-z_.0-9])+.)+x$",
        "(\\w*)*!",
        "(.*)(.*)(.*)(.*)(.*)(.*)(.*)!",
        "((((.+)+)+)+)+!",
        "(x+x+)+y",
    )
    bad = w.random.choice((*expressions, "[", "(?P<a>", "\\", "*", "(?i", "a{99999999999}", "(" * 500 + ")" * 500))
    rename = {bad: w.random.choice(("", "\\1", "\\9", "\\g<x>", "x" * 10_000))}
    if w.random.random() < 0.3:
        rename = {"": "x" * 10_000, "|": "y" * 10_000}
    return _command(w, w.write_zoo(w.materials.entry("a", rename=rename), w.materials.entry("b")))


@move
def many(w: Workspace) -> Case:
    """The same id twice, or very many entries."""
    if w.random.random() < 0.5:
        return _command(w, w.write_zoo(w.materials.entry("a"), w.materials.entry("a")), nonsense=True)
    entries = [w.materials.entry("a") | {"id": f"m{i}", "weights": "nothing.pth"} for i in range(300)]
    return w.case("zoo", w.random.choice(("list", "validate")), "--zoo", w.write_zoo(*entries))


#: A pickle that makes the file PWNED when it is loaded as code.
PICKLE = b"cos\nsystem\n(S'touch PWNED'\ntR."
