"""How commands parse their words, keep stdout for data, and list their options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from typer.core import TyperCommand

from acrank.cli.console import quietly, stdout_for_data

#: The panels of `--help`, in their order; options without one stand under "Options".
PANELS = ("What to score", "Data", "Output", "Splits", "Training", "How to run", "Protocol in detail")


class DataCommand(TyperCommand):
    """A command that keeps stdout for its data, and knows flags that may stand alone."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of the command line; a flag that may stand alone gets its value."""
        return super().parse_args(ctx, completed(args, getattr(self.callback, "alone", {})))

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what libraries print goes to stderr, and nowhere with -q."""
        with quietly(), stdout_for_data():
            return super().invoke(ctx)


class PanelCommand(DataCommand):
    """A command whose help lists its options by panel, as plain text."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, a section for each panel."""
        sections: dict[str, list[tuple[str, str]]] = {panel: [] for panel in (*PANELS, "Options")}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                panel = getattr(param, "rich_help_panel", None)
                sections[panel if panel in sections else "Options"].append(record)
        for panel, records in sections.items():
            if records:
                with formatter.section(panel):
                    formatter.write_dl(records)


def completed(words: Sequence[str], alone: Mapping[str, str]) -> list[str]:
    """The words of a command line, with the value of each flag that stands alone.

    >>> completed(["--refine", "-f", "csv"], {"--refine": "5"}), completed(["--refine", "3"], {"--refine": "5"})
    (['--refine', '5', '-f', 'csv'], ['--refine', '3'])
    """
    out = []
    for word, following in pairwise([*words, "-"]):
        out += [word, alone[word]] if word in alone and following.startswith("-") else [word]
    return out
