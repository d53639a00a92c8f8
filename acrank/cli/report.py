"""`acrank report`: one self-contained HTML page of a run."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acrank.cli.console import say, warn
from acrank.cli.options import VerboseOption, with_settings
from acrank.cli.outputs import OverwriteOption, check_replaceable
from acrank.errors import TableError, UsageError
from acrank.system.bounds import check_regular
from acrank.system.files import atomic_write, check_writable
from acrank.targets.target_options import TargetOptions

if TYPE_CHECKING:
    from PIL import Image

    from acrank.comparison import Measurement
    from acrank.records import Ranking

_SUFFIX = ".html"
#: Pixels of a contact sheet, on its longer side; larger ones are made smaller.
_SIDE = 2400


@with_settings
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run record that `acrank score` wrote.")],
    target: TargetOptions,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The page: .html.", metavar="PATH", rich_help_panel="Output")
    ] = Path("report.html"),
    overwrite: OverwriteOption = False,
    title: Annotated[str, typer.Option("--title", help="Title of the page. [the target's name]", metavar="TEXT")] = "",
    compare: Annotated[
        Path | None,
        typer.Option(
            "--compare", help="Also show the figures that `acrank compare -o FILE.json` wrote.", metavar="FILE"
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", help="Also plot scores against this CSV model,ground_truth.", metavar="FILE"),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="Of the truth, where it has several. [the target's name]", metavar="NAME"),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option("--method", help="Finetuning method of the truth, where it has several.", metavar="NAME"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Also show a contact sheet of this target, the one that was scored.",
            metavar="PATH",
            rich_help_panel="Data",
        ),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            "--sheet",
            help="Also show this contact sheet: an image that `acrank inspect -o sheet.png` wrote.",
            metavar="FILE",
            rich_help_panel="Data",
        ),
    ] = None,
    verbose: VerboseOption = 0,
) -> None:
    """Write one HTML page of a run: verdict, ranking, charts, data, settings, and the record itself.

    The page needs no network and makes no request. It carries the whole record, so it is as private as that.
    """
    from acrank.records import Ranking
    from acrank.report import ReportParts, report_html
    from acrank.report.libraries import check_libraries
    from acrank.system.plain_data import read_json

    _check(output, [run, compare, truth, sheet], overwrite=overwrite)
    if data is not None and sheet is not None:
        raise UsageError("--data and --sheet both give a contact sheet", hint="give one of them")
    check_libraries()
    ranking = Ranking.load(run)
    measured = _measurements(truth, method, dataset, ranking=ranking) if truth else {}
    parts = ReportParts(
        title=title,
        truth={model: (found.mean, found.se) for model, found in measured.items()},
        comparison=read_json(compare, "JSON that `acrank compare` wrote") if compare else None,
        sheet=_as_jpeg(_read_image(sheet)) if sheet else _sheet_of(data, target, ranking) if data else None,
    )
    atomic_write(output, report_html(ranking, parts))
    if ranking.lacking:
        warn(ranking.lacking)
    say(f"written: {output}")


def _check(output: Path, inputs: list[Path | None], *, overwrite: bool) -> None:
    if output.suffix.lower() != _SUFFIX:
        raise UsageError(f"no report format for {output.name!r}", hint=f"end the path in {_SUFFIX}")
    check_writable(output)
    check_replaceable([output], inputs, overwrite=overwrite)


def _measurements(path: Path, method: str | None, dataset: str | None, *, ranking: Ranking) -> dict[str, Measurement]:
    """Model -> truth, of the data set that is asked for, else that of the target's name, else the only one."""
    from acrank.comparison import read_truth

    datasets = read_truth(path, method=method).datasets
    name = dataset if dataset is not None else str(ranking.target.get("name", ""))
    if dataset is None and len(datasets) == 1:
        name = next(iter(datasets))
    if name not in datasets:
        has = ", ".join(map(repr, datasets))
        raise TableError(f"{path} has no data set {name!r}", hint=f"choose one with --dataset; it has {has}")
    found = datasets[name]
    if not found.keys() & {row.model for row in ranking.rows}:
        first = next(iter(found), "nothing")
        raise TableError(f"no model is in both the run and {path}", hint=f"names must agree: the truth has {first!r}")
    return found


def _sheet_of(data: Path, options: TargetOptions, ranking: Ranking) -> bytes:
    from acrank.targets import open_target
    from acrank.targets.contact_sheet import contact_sheet

    opened = open_target(data, options)
    if opened.fingerprint != ranking.target.get("fingerprint", opened.fingerprint):
        warn(f"{data} is not the target that was scored, or has changed since: the contact sheet shows what is there")
    return _as_jpeg(contact_sheet(opened))


def _read_image(path: Path) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    check_regular(path, UsageError)
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            image.load()
            return image
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        raise UsageError(
            f"{path} is no contact sheet: {error}", hint="make one with `acrank inspect --data PATH -o sheet.png`"
        ) from error


def _as_jpeg(image: Image.Image) -> bytes:
    """The image without what else its file held, at most 2,400 pixels a side."""
    small = image.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    out = io.BytesIO()
    small.save(out, format="JPEG", quality=85, optimize=True)
    return out.getvalue()
