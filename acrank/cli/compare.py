"""`acrank compare`: how well does a score predict finetuned performance?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acrank.cli.console import check_outputs, say, show, warn, write
from acrank.cli.options import Format, FormatOption, OutputOption, VerboseOption, with_settings
from acrank.cli.outputs import OverwriteOption, check_replaceable
from acrank.cli.progress import progress
from acrank.errors import TableError, UsageError
from acrank.system.files import check_writable
from acrank.system.option_fields import MOST_SEED, Opt, check_options
from acrank.system.words import closest

if TYPE_CHECKING:
    from acrank.comparison import Comparison, Scores, Truth


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """What is compared, and how."""

    score_names: Annotated[
        tuple[str, ...], Opt(help="Only these scores.", flag="--score", metavar="NAME,…", variable=False)
    ] = ()
    datasets: Annotated[
        tuple[str, ...], Opt(help="Only these datasets.", flag="--dataset", metavar="NAME,…", variable=False)
    ] = ()
    method: Annotated[
        str | None, Opt(help="Finetuning method, where the truth has several.", metavar="NAME", variable=False)
    ] = None
    lower_is_better: Annotated[
        tuple[str, ...], Opt(help="Lower values of these scores are better.", metavar="NAME,…", variable=False)
    ] = ()
    higher_is_better: Annotated[
        tuple[str, ...], Opt(help="Higher values of these scores are better.", metavar="NAME,…", variable=False)
    ] = ()
    versus: Annotated[
        str | None,
        Opt(
            help="Pair every score with this one: difference of weighted tau. [the ranking score, else the first]",
            metavar="NAME",
            variable=False,
        ),
    ] = None
    top_k: Annotated[
        tuple[int, ...],
        Opt(help="k of hit, Rel@k and regret. [1,3]", least=1, most=10**6, metavar="K,…", variable=False),
    ] = ()
    resamples: Annotated[int, Opt(help="Bootstrap samples and permutations.", least=100, most=10**6)] = 1000
    seed: Annotated[int, Opt(help="Seed of everything random.", least=0, most=MOST_SEED)] = 0

    def __post_init__(self) -> None:
        check_options(self)


@with_settings
def compare(
    scores: Annotated[
        Path,
        typer.Argument(
            metavar="SCORES", help="Run record or CSV of `acrank score`, or a table dataset,model,ground_truth,<score>…"
        ),
    ],
    options: CompareOptions,
    truth: Annotated[
        Path | None,
        typer.Option(
            "--truth",
            metavar="FILE",
            help="CSV model,ground_truth[,dataset,task,ground_truth_se,method,seed,split]; higher is better.",
        ),
    ] = None,
    clusters: Annotated[
        Path | None,
        typer.Option(
            "--clusters", metavar="FILE", help="CSV model,cluster: near-copies, which intervals take as one model."
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="PATH", help="Scatter plots to PATH: .png or .svg.")
    ] = None,
    output: OutputOption = None,
    overwrite: OverwriteOption = False,
    format: FormatOption = Format.table,
    verbose: VerboseOption = 0,
) -> None:
    """Compare scores with ground truth: correlations with intervals, baselines, and which score beats which."""
    from acrank import comparison

    _check_paths(plot, output or [])
    inputs, outputs = [scores, truth, clusters], [*(output or []), *([plot] if plot else [])]
    check_replaceable(outputs, inputs, kinds=["comparison"], overwrite=overwrite)
    table = comparison.read_scores(scores, only=options.score_names, method=None if truth else options.method)
    known = comparison.read_truth(truth, method=options.method) if truth else None
    table, known = _only(table, known, list(options.datasets))
    with progress("resampling"):
        found = comparison.compare(
            table,
            known,
            higher_is_better=_directions(table, list(options.lower_is_better), list(options.higher_is_better)),
            versus=options.versus,
            top_k=list(dict.fromkeys(options.top_k or (1, 3))),
            seed=options.seed,
            resamples=options.resamples,
            clusters=comparison.read_clusters(clusters) if clusters else None,
        )
    view = found.view()
    write(view, output or [])
    if plot:
        from acrank.comparison.plotting import plot_comparison

        plot_comparison(found, plot)
    show(view, format)
    _explain(found, verbose)


def _check_paths(plot: Path | None, output: list[Path]) -> None:
    check_outputs(output)
    if plot:
        from acrank.comparison.plotting import check_plot_path

        check_plot_path(plot)
        check_writable(plot)


def _only(scores: Scores, truth: Truth | None, wanted: list[str]) -> tuple[Scores, Truth | None]:
    """Keep the wanted datasets; scores without a dataset belong to the one that is wanted.

    The truth keeps its other datasets: they give the baseline "mean rank elsewhere".
    """
    from dataclasses import replace

    if not wanted:
        return scores, truth
    known = truth or scores.truth
    if known is None or any(name not in known.datasets for name in wanted):
        missing = next(name for name in wanted if known is None or name not in known.datasets)
        has = ", ".join(map(repr, known.datasets)) if known else "no ground truth"
        hint = closest(missing, known.datasets if known else (), f"there is {has}")
        raise TableError(f"there is no ground truth for the dataset {missing!r}", hint=hint)
    if list(scores.datasets) == [""] and len(wanted) == 1:
        return scores.named(wanted[0]), truth
    unscored = [name for name in wanted if name not in scores.datasets]
    if unscored:
        hint = closest(unscored[0], scores.datasets, f"it has {', '.join(scores.datasets)}")
        raise TableError(f"{scores.where} has no dataset {unscored[0]!r}", hint=hint)
    return replace(scores, datasets={name: scores.datasets[name] for name in wanted}), truth


def _directions(scores: Scores, lower: list[str], higher: list[str]) -> dict[str, bool]:
    """What the options say, above what the run record says, above what is known of the package's own scores."""
    both = set(lower) & set(higher)
    if both:
        raise UsageError(f"{min(both)!r} cannot be better both ways", hint="give one of the two options")
    from acrank.comparison.given_tables import own_directions

    known = {name: way for name, way in own_directions().items() if name in scores.names}
    recorded = {name: way for name, way in scores.higher_is_better.items() if name in scores.names}
    return known | recorded | dict.fromkeys(lower, False) | dict.fromkeys(higher, True)


def _explain(found: Comparison, verbose: int) -> None:
    """Warnings, and how to read the table, to stderr."""
    for line in found.warnings:
        warn(line)
    versus = found.settings["versus"]
    if versus and len({result.score for result in found.results if result.kind == "score"}) > 1:
        say(f"difference: weighted tau minus that of {versus}; undecided: the interval holds 0")
    if verbose:
        over = found.settings["interval"].removeprefix("percentile bootstrap over ")
        over += " and truth seeds" if found.settings["truth_resampled"] else ""
        say(f"intervals: 95%, {found.settings['resamples']} bootstrap samples of {over}; random ranking: range of 95%")
