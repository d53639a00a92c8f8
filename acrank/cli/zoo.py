"""`acrank zoo list`, `validate`, `lock` and `scan`: the manifest, before a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acrank.cli import console
from acrank.cli.commands import DataCommand
from acrank.cli.options import Format, FormatOption, OutputOption, VerboseOption, ZooOption
from acrank.cli.outputs import OverwriteOption, check_replaceable
from acrank.errors import CandidateError, ManifestError, OutputError
from acrank.system.files import atomic_write, check_writable, is_there
from acrank.system.imports import gc_paused
from acrank.system.plain_data import dumps
from acrank.system.view import Column, View

if TYPE_CHECKING:
    from acrank.zoo import Zoo

DEFAULT_ZOO = Path("model_zoo.yaml")
_MOST_NAMED = 20  # candidates in one line
INDEXED = ("timm", "torchvision")

app = typer.Typer(
    help="List, validate and lock the manifest, or make one from checkpoints.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list", cls=DataCommand)
def list_(
    zoo: ZooOption = DEFAULT_ZOO,
    format_: FormatOption = Format.table,
    output: OutputOption = None,
    overwrite: OverwriteOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """List the candidates of a manifest."""
    console.check_outputs(output or [])
    check_replaceable(output or [], [zoo], kinds=["candidates"], overwrite=overwrite)
    view = _view(_load(zoo))
    console.show(view, format_)
    console.write(view, output or [])


@app.command(cls=DataCommand)
def validate(zoo: ZooOption = DEFAULT_ZOO, verbose: VerboseOption = 0) -> None:
    """Check a manifest: its schema, its files and their hashes, and that each file fits its network.

    No code of a `factory:` is run and nothing is downloaded: what needs --allow-code or --allow-download is named.
    """
    from acrank.cli.progress import progress  # here: `zoo list` needs no bar
    from acrank.targets.target import first_few
    from acrank.zoo.manifest import location
    from acrank.zoo.permissions import options_needed
    from acrank.zoo.validation import validate_zoo

    with progress("checking") as advance:
        sound, problems = validate_zoo(zoo, lambda done, total, model: advance(done, total, f"checking {model}"))
    for problem in problems:
        console.say(f"{location(zoo, problem)}: {problem}" + (f" ({problem.hint})" if problem.hint else ""))
    console.say(f"{len(sound.candidates)} ok")
    for option, names in options_needed(sound.candidates).items():
        console.say(f"skipped without {option}, and their networks not checked here: {first_few(names, _MOST_NAMED)}")
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise ManifestError(f"{zoo} has {count}", hint="each is named above")


@app.command(cls=DataCommand)
def lock(zoo: ZooOption = DEFAULT_ZOO, verbose: VerboseOption = 0) -> None:
    """Write the lock file of a manifest, for `--locked`: revisions, and hashes of weights and code, beside it."""
    from acrank.cli.progress import progress
    from acrank.zoo.locking import lock_path, lock_zoo

    manifest, path = _load(zoo), lock_path(zoo)
    check_replaceable([path], [], kinds=["lock"])
    check_writable(path)
    with progress("locking") as advance:
        found = lock_zoo(manifest, on_model=advance)
    atomic_write(path, dumps(found.record()))
    files = sum(len(one.files) for one in found.models.values())
    console.say(f"locked {len(found.models)} candidates, {files} files: {path}")


@app.command(cls=DataCommand)
def scan(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of checkpoints; folders in it count too.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the manifest here, not to stdout.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an output file that is there.")] = False,
    verbose: VerboseOption = 0,
) -> None:
    """Write a manifest of a folder's checkpoints: architecture, prefix, key and channels from names and shapes.

    What is sure becomes an entry; guesses and unknown files are comments that say why. The first scan builds an index
    of all architectures, which takes minutes; it is kept in the cache.
    """
    if output is not None:
        _check_new(output, folder, overwrite=overwrite)
    from acrank.cache import default_folder
    from acrank.zoo.fingerprint_index import indexed_so_far, is_indexed, load_index
    from acrank.zoo.scanning import check_folder, scan_folder

    check_folder(folder)
    cache = default_folder()
    if not is_indexed(cache, *INDEXED):
        done, total = indexed_so_far(cache, *INDEXED)
        rest = f", {done} of {total} are done" if done else ""
        console.say(
            f"building the index of architectures, once for these versions of timm and torchvision: minutes{rest}"
        )
    from acrank.cli.interruption import resumable
    from acrank.cli.progress import progress  # here: `zoo list` needs no bar

    with resumable(lambda: _kept_of_index(cache), flags=()), progress("architectures") as advance:
        index = load_index(cache, *INDEXED, advance=advance)
    if not is_indexed(cache, *INDEXED):
        console.warn(f"the index cannot be kept in {cache}: the next scan builds it again (set ACRANK_CACHE)")
    with progress("files", every=2) as advance:
        found = scan_folder(folder, index, encoders=lambda: load_index(cache, "smp"), advance=advance)
    text = found.manifest(output.absolute().parent if output else Path.cwd())
    if output is None:
        console.put(text)
    else:
        atomic_write(output, text)
        for line in found.told():
            console.say(line)
    for line in found.unsure():
        console.say(line)
    if output is not None:
        console.say(f"written: {output}")
    console.say(found.summary)
    for line in filter(None, (found.doubt, found.advice)):
        console.say(line)
    if not found.counts["sure"]:
        hint = "its comments say what was found; an entry of a guess is used once you remove its `#`"
        raise CandidateError(f"no checkpoint in {folder} is known for sure: the manifest has no model", hint=hint)


def _kept_of_index(cache: Path) -> str | None:
    """How much of the index is in the cache; None where nothing is."""
    from acrank.zoo.fingerprint_index import indexed_so_far

    done, total = indexed_so_far(cache, *INDEXED)
    return f"{done} of {total} architectures are in the index, kept in {cache}" if done else None


def _load(path: Path) -> Zoo:
    with gc_paused():
        from acrank.zoo.manifest import load_zoo  # the schema takes longer to load than all of `acrank --help`

    return load_zoo(path)


def _check_new(output: Path, folder: Path, *, overwrite: bool) -> None:
    """Fail before the work: the path must be writable, new unless it may be replaced, and no file that is scanned."""
    if is_there(output) and output.is_file() and not overwrite:
        raise OutputError(f"{output} exists", hint="choose another file, or give --overwrite")
    check_replaceable([output], [folder], kinds=["manifest"], overwrite=True)
    check_writable(output)


def _view(zoo: Zoo) -> View:
    """The zoo as a table, and as its record."""
    rows = [[c.id, c.network, c.weights, c.license, ", ".join(c.tags) or None] for c in zoo.candidates]
    models = [c.model_dump(mode="json", exclude_defaults=True, exclude={"folder"}) for c in zoo.candidates]
    record = {"kind": "acrank-zoo", "path": str(zoo.path), "sha256": zoo.sha256, "models": models}
    layout = [
        Column(name="model", priority=0, fit="shorten", ease=24),
        Column(name="network", priority=1, fit="shorten", ease=16),
        Column(name="weights", priority=2, fit="shorten", ease=16),
        Column(name="license", priority=4, fit="shorten", least=8),
        Column(name="tags", priority=3, fit="wrap", least=8),
    ]
    columns = [column.name for column in layout]
    return View(columns=columns, rows=rows, record=record, title=f"Candidates of {zoo.path}", layout=layout)
