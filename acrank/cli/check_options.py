"""The options of `acrank check`: one per common gate, and what completes them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from acrank.cli.completion import completer_of


class Tolerance(StrEnum):
    """How the best candidate may differ from the baseline's."""

    band = "band"
    exact = "exact"


RunArgument = Annotated[Path, typer.Argument(help="Run record (JSON) of `acrank score`.", metavar="RUN")]
GatesOption = Annotated[
    Path | None,
    typer.Option("--gates", envvar="ACRANK_GATES", help="Gates file (YAML); flags override it.", metavar="FILE"),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="The chosen model, for --leading-band, --top-k, --refined-top-k and --within.",
        metavar="ID",
        autocompletion=completer_of("--model"),
    ),
]
TopKOption = Annotated[
    int | None, typer.Option("--top-k", min=1, max=10**6, help="Gate: the model's rank is at most K.", metavar="K")
]
LeadingBandOption = Annotated[
    bool,
    typer.Option("--leading-band", help="Gate: the model is in the leading band."),
]
RefinedTopKOption = Annotated[
    int | None,
    typer.Option(
        "--refined-top-k",
        min=1,
        max=10**6,
        help="Gate: the model is among the first K after `score --refine`.",
        metavar="K",
    ),
]
WithinOption = Annotated[
    str | None,
    typer.Option(
        "--within",
        help="Gate: the model is at most X worse than the best: 0.02, 10%, '25% of range', or '2 se'.",
        metavar="X",
    ),
]
ScoreOption = Annotated[
    str | None,
    typer.Option(
        "--score",
        help="Score of --within and --min-tau; default: the one that ranks.",
        metavar="NAME",
        autocompletion=completer_of("--score"),
    ),
]
BaselineOption = Annotated[
    Path | None,
    typer.Option(
        "--baseline", help="Earlier run record: show what changed; for --same-best and --max-slowdown.", metavar="RUN"
    ),
]
SameBestOption = Annotated[
    Tolerance | None,
    typer.Option("--same-best", help="Gate: the baseline's best is still the best, or (band) in the leading band."),
]
MaxSlowdownOption = Annotated[
    float | None,
    typer.Option(
        "--max-slowdown", help="Gate: median time per candidate is at most X times the baseline's.", metavar="X"
    ),
]
MaxSecondsOption = Annotated[
    float | None, typer.Option("--max-seconds", help="Gate: no candidate took more than S seconds.", metavar="S")
]
TruthOption = Annotated[
    Path | None,
    typer.Option("--truth", help="Ground truth (CSV: model,ground_truth), for --min-tau.", metavar="FILE"),
]
MinTauOption = Annotated[
    float | None,
    typer.Option("--min-tau", help="Gate: weighted Kendall tau against the truth is at least X.", metavar="X"),
]
MethodOption = Annotated[
    str | None, typer.Option("--method", help="Finetuning method in the truth, where it has several.", metavar="NAME")
]
DatasetOption = Annotated[
    str | None, typer.Option("--dataset", help="Dataset in the truth, where it has several.", metavar="NAME")
]
NoSkippedOption = Annotated[bool, typer.Option("--no-skipped", help="Gate: no candidate was skipped.")]
NoWarningsOption = Annotated[
    bool, typer.Option("--no-warnings", help="Gate: neither the run nor another gate carries a warning.")
]
AllowPartialOption = Annotated[
    bool, typer.Option("--allow-partial", help="Judge a run that was not finished by the rows that it has.")
]
ReportOption = Annotated[
    list[Path] | None,
    typer.Option(
        "-o", "--output", help="Also write to PATH: .xml (JUnit), .json, .csv, .md or .txt. Repeatable.", metavar="PATH"
    ),
]
