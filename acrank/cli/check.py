"""`acrank check`: a ranking as pass or fail, for people and for CI."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from acrank.cli.check_options import (
    AllowPartialOption,
    BaselineOption,
    DatasetOption,
    GatesOption,
    LeadingBandOption,
    MaxSecondsOption,
    MaxSlowdownOption,
    MethodOption,
    MinTauOption,
    ModelOption,
    NoSkippedOption,
    NoWarningsOption,
    RefinedTopKOption,
    ReportOption,
    RunArgument,
    SameBestOption,
    ScoreOption,
    TopKOption,
    TruthOption,
    WithinOption,
)
from acrank.cli.console import annotate, put, say, show, warn, write
from acrank.cli.options import Format, FormatOption, VerboseOption
from acrank.cli.outputs import OverwriteOption, check_replaceable
from acrank.errors import OutputError, UsageError
from acrank.formats import format_of
from acrank.formats.junit import JUnitCase, to_junit
from acrank.formats.markdown import to_markdown
from acrank.system.files import atomic_write, check_writable

if TYPE_CHECKING:
    from acrank.gates import CheckReport, Gates

JUNIT = ".xml"


#: Flags that complete gates asked for by other flags or the file: setting -> the gates that have it.
_COMPLETES = {
    "model": ("top_k", "leading_band", "refined_top_k", "margin"),
    "score": ("margin", "weighted_tau"),
    "baseline": ("same_best", "time"),
    "truth": ("weighted_tau",),
    "method": ("weighted_tau",),
    "dataset": ("weighted_tau",),
}


def check(
    run: RunArgument,
    gates: GatesOption = None,
    model: ModelOption = None,
    top_k: TopKOption = None,
    leading_band: LeadingBandOption = False,
    refined_top_k: RefinedTopKOption = None,
    within: WithinOption = None,
    score: ScoreOption = None,
    baseline: BaselineOption = None,
    same_best: SameBestOption = None,
    max_slowdown: MaxSlowdownOption = None,
    max_seconds: MaxSecondsOption = None,
    truth: TruthOption = None,
    min_tau: MinTauOption = None,
    method: MethodOption = None,
    dataset: DatasetOption = None,
    no_skipped: NoSkippedOption = False,
    no_warnings: NoWarningsOption = False,
    allow_partial: AllowPartialOption = False,
    format_: FormatOption = Format.table,
    output: ReportOption = None,
    overwrite: OverwriteOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Hold a ranking against gates: exit 0 when all pass, 1 when one fails, 2 when one cannot be evaluated.

    A run that was not finished, or that has no rows, fails. With --baseline, what changed since that run is shown, too:
    every model before and after, and whether the difference is within noise; `-f markdown` suits a pull request.

    "At most" and "at least" include their bound. In GitHub Actions failed gates are annotated, and a table is added
    to the step's summary.
    """
    from acrank.gates import CheckReport, check_ranking, read_changes, remedies
    from acrank.records import Ranking

    asked = {
        "top_k": {"k": top_k},
        "leading_band": {"model": model} if leading_band else None,
        "refined_top_k": {"k": refined_top_k},
        "margin": {"within": within},
        "same_best": {"tolerance": same_best and same_best.value},
        "weighted_tau": {"at_least": min_tau},
        "time": {"at_most": max_slowdown},
        "max_seconds": max_seconds,
        "no_skipped": no_skipped or None,
        "no_warnings": no_warnings or None,
        "allow_partial": allow_partial or None,
    }
    completing = {"model": model, "score": score, "baseline": baseline}
    completing |= {"truth": truth, "method": method, "dataset": dataset}
    only_changes = gates is None and baseline is not None and not any(_is_asked(one) for one in asked.values())
    rules = None if only_changes else _gates(gates, asked, completing)
    summary = _summary_path()
    _check_outputs(output or [])
    check_replaceable(output or [], [run, gates, baseline, truth], kinds=["gates"], overwrite=overwrite)
    ranking = Ranking.load(run)
    if ranking.complete is None:
        say(f"note: {run} does not say whether its run was finished: an earlier version wrote it")
    report = check_ranking(ranking, rules, run=str(run)) if rules else CheckReport([], str(run))
    if baseline is not None:
        report = replace(report, changes=read_changes(baseline, ranking))
    _tell(report, format_.value, output or [], summary=summary)
    for text in remedies(report.results, ranking):
        say(f"hint: {text}")
    if not report.passed:
        raise typer.Exit(1)


def _tell(report: CheckReport, format_name: str, paths: list[Path], *, summary: Path | None) -> None:
    """The report wherever it is wanted: stdout, files, the summary of the CI step and marks on its run."""
    _show(report, format_name)
    for result in report.results:
        for text in result.warnings:
            warn(f"{result.name}: {text}")
    _write(report, paths)
    if summary is not None:
        _append(summary, _markdown(report) + "\n")
    _annotate(report)


def _is_asked(setting: Any) -> bool:
    """Whether a flag asks for a gate."""
    return any(value is not None for value in setting.values()) if isinstance(setting, dict) else setting is not None


def _show(report: CheckReport, format_name: str) -> None:
    """The report to stdout: JSON and CSV as one document, for people the gates and then what changed."""
    if format_name in ("json", "csv"):
        show(report.view() if report.results or format_name == "json" else report.views()[-1], format_name)
        return
    for place, view in enumerate(report.views()):
        put("\n" if place else "")
        show(view, format_name)


def _markdown(report: CheckReport) -> str:
    return "\n".join(to_markdown(view) for view in report.views())


def _gates(file: Path | None, asked: Mapping[str, Any], completing: Mapping[str, Any]) -> Gates:
    """The gates of the file and the flags together; a flag wins over the file."""
    from acrank.gates import parse_gates, read_gates

    content = read_gates(file) if file else {}
    for name, settings in asked.items():
        if isinstance(settings, dict):
            settings = {key: value for key, value in settings.items() if value is not None}
            _override(content, name, settings)
        elif settings is not None:
            content[name] = settings
    if asked["leading_band"] == {"model": None} and "leading_band" not in content:
        raise UsageError("--leading-band needs the model that it is about", hint="add --model ID")
    for setting, value in completing.items():
        if value is not None:
            _complete(content, setting, value)
    if not content:
        raise UsageError("no gate is asked for", hint="give --gates FILE, or a gate such as --model ID --top-k K")
    return parse_gates(content, where=str(file or "flags"))


def _override(content: dict[str, Any], name: str, settings: Mapping[str, Any]) -> None:
    present = content.get(name, {})
    if settings and isinstance(present, dict):  # anything else in the file is for the schema to refuse
        content[name] = {**present, **settings}


def _complete(content: dict[str, Any], setting: str, value: Any) -> None:
    users = _COMPLETES[setting]
    present = [name for name in users if name in content]
    if not present and setting == "baseline":  # it shows what changed, without a gate
        return
    if not present:
        raise UsageError(
            f"--{setting} is given, but no gate that uses it", hint=f"ask for one of the gates {', '.join(users)}"
        )
    for name in present:
        _override(content, name, {setting: value})


def _check_outputs(paths: list[Path]) -> None:
    for path in paths:
        if path.suffix.lower() != JUNIT:
            format_of(path, also=[JUNIT])
        check_writable(path)


def _write(report: CheckReport, paths: list[Path]) -> None:
    cases = [JUnitCase(name=item.name, message=item.message, failed=not item.passed) for item in report.results]
    for path in paths:
        if path.suffix.lower() == JUNIT:
            atomic_write(path, to_junit("acrank check", cases))
        elif path.suffix.lower() == ".md":
            atomic_write(path, _markdown(report))
        else:
            write(report.view(), [path])


def _summary_path() -> Path | None:
    """Where GitHub Actions wants the step's summary; it must be writable before the work starts."""
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name:
        return None
    _append(Path(name), "")
    return Path(name)


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror}", hint="GITHUB_STEP_SUMMARY must name a writable file, or nothing"
        ) from error


def _annotate(report: CheckReport) -> None:
    """Failed gates as marks on the run; on stderr, which the runner reads too, so that stdout stays data."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for result in report.failures:
            annotate(f"acrank check: {result.name}", result.message)
