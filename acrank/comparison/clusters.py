"""Clusters of near-copies: models that an interval takes as one."""

from __future__ import annotations

from pathlib import Path

from acrank.comparison.csvtable import model_of, read_csv


def read_clusters(path: Path) -> dict[str, str]:
    """Read clusters of near-copies: a CSV with the columns `model,cluster`.

    Raises:
        TableError: unreadable, a missing column, an empty name, or a model in two clusters.
    """
    table = read_csv(path)
    table.require("model", "cluster", hint="a table of clusters has the columns model,cluster")
    found: dict[str, str] = {}
    for row in table.rows:
        model, cluster = model_of(row), row.text("cluster")
        if not cluster or found.setdefault(model, cluster) != cluster:
            raise row.error(f"column 'cluster': {model!r} has none, or two", hint="give every model one cluster")
    return found
