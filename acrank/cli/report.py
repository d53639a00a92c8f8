"""`acrank report`: one self-contained HTML page of a run."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acrank.cli.console import say, warn
from acrank.cli.options import VerboseOption, with_settings
from acrank.cli.outputs import OverwriteOption, check_replaceable
from acrank.errors import TableError, UsageError
from acrank.system.bounds import check_regular
from acrank.system.files import atomic_write, check_writable
from acrank.system.option_fields import Opt, check_options
from acrank.targets.target_options import TargetOptions

if TYPE_CHECKING:
    from PIL import Image

    from acrank.comparison import Measurement
    from acrank.records import Ranking
    from acrank.report import ReportParts

_SUFFIX = ".html"
#: Pixels of a contact sheet, on its longer side; larger ones are made smaller.
_SIDE = 2400


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What a report shows beside its run."""

    title: Annotated[
        str, Opt(help="Title of the page. [made of the target's name]", metavar="TEXT", variable=False)
    ] = ""
    compare: Annotated[
        Path | None,
        Opt(help="Also show the figures that `acrank compare -o FILE.json` wrote.", metavar="FILE", variable=False),
    ] = None
    truth: Annotated[
        Path | None,
        Opt(help="Also plot scores against this CSV model,ground_truth[,dataset,…].", metavar="FILE", variable=False),
    ] = None
    dataset: Annotated[
        str | None,
        Opt(help="Of the truth, where it has several. [that of the target's name]", metavar="NAME", variable=False),
    ] = None
    method: Annotated[
        str | None,
        Opt(help="Finetuning method of the truth, where it has several.", metavar="NAME", variable=False),
    ] = None
    data: Annotated[
        Path | None,
        Opt(
            help="Also show a contact sheet of the target that was scored.",
            metavar="PATH",
            panel="Data",
            variable=False,
        ),
    ] = None
    sheet: Annotated[
        Path | None,
        Opt(
            help="Also show this contact sheet, which `acrank inspect -o sheet.png` wrote.",
            metavar="FILE",
            panel="Data",
            variable=False,
        ),
    ] = None

    def __post_init__(self) -> None:
        check_options(self)
        if self.data is not None and self.sheet is not None:
            raise UsageError("--data and --sheet both give a contact sheet", hint="give one of them")


@with_settings
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run record that `acrank score` wrote.")],
    options: ReportOptions,
    target: TargetOptions,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The page: .html.", metavar="PATH", rich_help_panel="Output")
    ] = Path("report.html"),
    overwrite: OverwriteOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Write one HTML page of a run: verdict, ranking, charts, data, settings, and the record itself.

    The page needs no network and makes no request. It carries the whole record, so it is as private as that.
    """
    from acrank.records import Ranking
    from acrank.report import report_html
    from acrank.report.script_libraries import check_libraries

    _check(output, [run, options.compare, options.truth, options.sheet], overwrite=overwrite)
    check_libraries()
    ranking = Ranking.load(run)
    atomic_write(output, report_html(ranking, _parts(options, target, ranking)))
    if ranking.lacking:
        warn(ranking.lacking)
    say(f"written: {output}")


def _parts(options: ReportOptions, target: TargetOptions, ranking: Ranking) -> ReportParts:
    from acrank.report import ReportParts
    from acrank.system.plain_data import read_json

    truth = _measurements(options.truth, options, ranking) if options.truth else {}
    compare = options.compare
    sheet = None
    if options.sheet is not None:
        sheet = _as_jpeg(_read_image(options.sheet))
    elif options.data is not None:
        sheet = _sheet_of(options.data, target, ranking)
    return ReportParts(
        left_out=_made_of_truth(ranking, truth),
        title=options.title,
        truth={model: (found.mean, found.se) for model, found in truth.items()},
        comparison=read_json(compare, "JSON that `acrank compare` wrote") if compare else None,
        sheet=sheet,
    )


def _check(output: Path, inputs: list[Path | None], *, overwrite: bool) -> None:
    if output.suffix.lower() != _SUFFIX:
        raise UsageError(f"no report format for {output.name!r}", hint=f"end the path in {_SUFFIX}")
    check_writable(output)
    check_replaceable([output], inputs, overwrite=overwrite)


def _measurements(path: Path, options: ReportOptions, ranking: Ranking) -> dict[str, Measurement]:
    """Model -> truth, of the data set that is asked for, else that of the target's name, else the only one."""
    from acrank.comparison import read_truth
    from acrank.comparison.name_rules import meant_by

    datasets = read_truth(path, method=options.method).datasets
    name = options.dataset if options.dataset is not None else str(ranking.target.get("name", ""))
    if options.dataset is None and len(datasets) == 1:
        name = next(iter(datasets))
    if name not in datasets:
        has = ", ".join(map(repr, datasets))
        raise TableError(f"{path} has no data set {name!r}", hint=f"choose one with --dataset; it has {has}")
    found = datasets[name]
    models = [row.model for row in ranking.rows]
    unmatched = [model for model in found if model not in models]
    meant = meant_by(unmatched, [model for model in models if model not in found])
    if len(unmatched) == len(found):
        first = next(iter(found), "nothing")
        hint = f"names must agree: the truth has {first!r}{meant}"
        raise TableError(f"no model is in both the run and {path}", hint=hint)
    if unmatched:
        warn(f"{len(found) - len(unmatched)} of {len(found)} models of the truth match a candidate{meant}")
    return found


def _made_of_truth(ranking: Ranking, truth: dict[str, Measurement]) -> dict[str, str]:
    """The scores that nothing is learnt from plotting against this truth, and for each of them why."""
    from acrank.comparison.own_training import made_of_truth

    why = {name: made_of_truth(ranking.trained, truth, score=name) for name in ranking.score_names}
    return {name: text for name, text in why.items() if text}


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
