"""`acrank inspect`: what acrank understands of a target, before any network is loaded."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acrank.cli.console import check_outputs, finish, say, warn, write
from acrank.cli.options import DataOption, Format, FormatOption, VerboseOption, with_settings
from acrank.cli.outputs import OverwriteOption, check_replaceable
from acrank.cli.progress import progress
from acrank.system.files import atomic_write, check_writable
from acrank.system.view import View
from acrank.targets.target_options import TargetOptions

if TYPE_CHECKING:
    from acrank.targets import Target
    from acrank.targets.examination import Examination
    from acrank.targets.understanding import Understanding

SHEET = ".png"


@with_settings
def inspect(
    data: DataOption,
    target: TargetOptions,
    zoo: Annotated[
        Path | None,
        typer.Option("--zoo", help="Also say what scoring the candidates of this manifest would take.", metavar="FILE"),
    ] = None,
    examine: Annotated[
        int,
        typer.Option(
            "--examine", min=1, help="Images that are decoded, spread over the target.", rich_help_panel="Data"
        ),
    ] = 1000,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "-o",
            "--output",
            help="Also write to PATH: .png (a contact sheet), .json, .csv, .md or .txt. Repeatable.",
            metavar="PATH",
            rich_help_panel="Output",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    format: FormatOption = Format.table,
    verbose: VerboseOption = 0,
) -> None:
    """Say what acrank understands of your images: layout, task, classes, sizes, values, and what is unlikely.

    No network is loaded. Up to --examine images are decoded; those that cannot be are named. Duplicates are looked for
    across labels and, where the target has splits of its own, between the split in use and the others.
    """
    sheets = [path for path in output or [] if path.suffix.lower() == SHEET]
    tables = [path for path in output or [] if path not in sheets]
    check_outputs(tables)
    for path in sheets:
        check_writable(path)
    inputs = [*target.files_beside(data), zoo]
    check_replaceable(tables, inputs, kinds=["target"], overwrite=overwrite)
    check_replaceable(sheets, inputs, overwrite=overwrite)
    opened, understanding = _examined(data, target, examine)
    if not data.is_dir():  # a table names its images
        root = Path(target.image_root or data.parent)
        check_replaceable(sheets, [root / name for name in opened.ids], overwrite=True)
    view = understanding.view()
    if zoo is not None:
        view = _with_cost(view, zoo, opened)
    for path in sheets:
        _write_sheet(path, opened)
        say(f"written: {path}")
    write(view, tables)
    for text in understanding.warnings:
        warn(text)
    finish(view, format)


def _examined(data: Path, options: TargetOptions, most: int) -> tuple[Target, Understanding]:
    from acrank.targets import open_target
    from acrank.targets.examination import Examination, spread
    from acrank.targets.understanding import understand

    with progress("looking through the data"):
        opened = open_target(data, options)
    examination = Examination()
    places = spread(len(opened), most)
    with progress("decoding") as advance:
        opened = examination.look(opened, places, lambda done: advance(done, len(places), "decoding"))
    found = understand(opened, examination)
    warnings = [*found.warnings, *_leaks(data, options, examination)]
    return opened, dataclasses.replace(found, warnings=warnings)


def _leaks(data: Path, options: TargetOptions, examination: Examination) -> list[str]:
    """Images of the split in use that other splits show, too; nothing where the target has no others."""
    from acrank.targets import LAYOUTS, open_target
    from acrank.targets.doubts import split_leaks
    from acrank.targets.examination import Examination, spread

    used = open_target(data, options)
    if used.split in (None, "all") or "split" not in LAYOUTS[used.layout].uses:
        return []
    own = set(used.ids)
    whole = open_target(data, options, split="all", bad_images="skip-all")
    others = [place for place, name in enumerate(whole.ids) if name not in own]
    beside = Examination()
    chosen = [others[place] for place in spread(len(others), len(examination.facts))]
    with progress("other splits") as advance:
        beside.look(whole, chosen, lambda done: advance(done, len(chosen), "decoding other splits"))
    facts = {**examination.facts, **beside.facts}
    return split_leaks(facts, {name: "used" if name in own else "others" for name in facts})


def _with_cost(view: View, manifest: Path, target: Target) -> View:
    """The view with what scoring a manifest's candidates would take: counts and bytes, no guess at seconds."""
    from acrank.ranking.racing import draws_to_give
    from acrank.settings import Settings
    from acrank.system.bounds import in_words
    from acrank.zoo import load_zoo

    settings = Settings().for_task(target.task)
    candidates = load_zoo(manifest).candidates
    images = min(settings.samples or len(target), len(target))
    further = draws_to_give(len(candidates), settings)
    files = [path for one in candidates if (path := one.weights_path) is not None and path.is_file()]
    size = sum(path.stat().st_size for path in files)
    cost: dict[str, Any] = {
        "candidates": len(candidates),
        "images per draw": images,
        "draws at most": 1 + min((settings.repeats or 1) - 1, further // 2),
        "images through networks, first round": images * len(candidates),
        "images through networks, at most": images * (len(candidates) + further),
        "bytes of weights": size,
        "candidates without a local file": len(candidates) - len(files),
    }
    rows: list[list[Any]] = [[f"cost: {name}", str(value)] for name, value in cost.items()]
    basis = (
        f"counted from the manifest and the default protocol ({in_words(size)} of weights are read once each); seconds "
        "depend on networks and machine: `acrank score --model ID` on one candidate measures them"
    )
    rows.append(["cost: basis", basis])
    return dataclasses.replace(view, rows=[*view.rows, *rows], record={**view.record, "cost": {**cost, "basis": basis}})


def _write_sheet(path: Path, target: Target) -> None:
    from PIL.PngImagePlugin import PngInfo

    from acrank.targets.contact_sheet import contact_sheet

    buffer = io.BytesIO()
    about = PngInfo()
    about.add_text("Software", "acrank")
    contact_sheet(target).save(buffer, format="PNG", pnginfo=about)
    atomic_write(path, buffer.getvalue())
