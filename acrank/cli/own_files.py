"""How the files begin that acrank writes: what a command may write over without being told to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from acrank.errors import OutputError
from acrank.system.files import is_there

_LOOKED_AT = 4096  # bytes: acrank's own files say at their beginning what they are
#: How files begin whose format tells that acrank wrote them; pictures and pages of one command are not another's.
_MANIFEST = re.compile(r"(\s*#.*\n|\s*\n|---\n)*version: *1\b")
_MARKED: Mapping[str, re.Pattern[str]] = {
    ".html": re.compile(r'<!DOCTYPE html>[^\0]*?<meta name="generator" content="acrank">'),
    ".png": re.compile(r"\ufffdPNG\n\x1a\n[\s\S]*?Software\0acrank"),
    ".svg": re.compile(r"<\?xml[\s\S]*?<dc:title>acrank</dc:title>"),
    ".xml": re.compile(r'<\?xml[^>]*>\s*<testsuites [^>]*>\s*<testsuite name="acrank check"'),
}
_BOM = "\ufeff"


@dataclass(frozen=True, kw_only=True)
class OwnTable:
    """How a table begins that a command writes.

    Attributes:
        record: `kind` of its JSON.
        header: beginning of its CSV.
        title: regular expression of the first line of its table, and of its heading in markdown.
    """

    record: str
    header: str
    title: str

    def wrote(self, path: Path, beginning: str) -> bool:
        """Whether a file that begins like that is such a table."""
        kind, text = path.suffix.lower(), beginning.removeprefix(_BOM)
        if kind == ".json":
            return re.match(rf'\{{\s*"kind":\s*"{re.escape(self.record)}"', text) is not None
        if kind == ".csv":
            return text.startswith(self.header)
        lines = text.splitlines()
        if kind == ".md":  # in which signs of markdown stand behind a backslash
            lines = [re.sub(r"\\(.)", r"\1", line.removeprefix("### ")) for line in lines]
        return len(lines) > 1 and not lines[1].strip() and re.fullmatch(self.title, lines[0].strip()) is not None


#: What a command writes -> how it begins.
OWN_TABLES: Mapping[str, OwnTable] = {
    "ranking": OwnTable(
        record="acrank-run", header="rank,band,model,status,", title=r".*: by \S+ \((higher|lower) is better\)"
    ),
    "truth": OwnTable(
        record="acrank-finetune",
        header="dataset,model,method,seed,split,lr,metric,ground_truth",
        title=r".*: finetuned, mean over runs \(higher is better\)",
    ),
    "comparison": OwnTable(
        record="acrank-comparison", header="dataset,score,kind,higher_is_better,", title="Scores against ground truth"
    ),
    "gates": OwnTable(record="acrank-check", header="gate,result,observed,required,", title=r"acrank check of .*"),
    "targets of a history": OwnTable(
        record="acrank-history", header="target,task,method,metric,", title="Earlier targets"
    ),
    "candidates of a history": OwnTable(
        record="acrank-history", header="model,task,targets,share", title="Candidates of the history"
    ),
    "target": OwnTable(record="acrank-inspect", header="what,found\nname,", title=r".*: what acrank understood"),
    "machine": OwnTable(record="acrank-env", header="what,found\npython,", title="What acrank runs on"),
    "candidates": OwnTable(record="acrank-zoo", header="model,network,weights,license,tags", title="Candidates of .*"),
    "lock": OwnTable(record="acrank-lock", header="\0", title=r"(?!)"),  # JSON alone
    "scores": OwnTable(record="acrank-scores", header="name,needs,direction,range,", title="Scores"),
    "cache": OwnTable(
        record="acrank-cache", header="key,weights,images,features,layers,bytes", title="Cached observations"
    ),
}


def beginning_of(path: Path) -> str:
    """How a file begins; empty where it is empty or not there.

    Raises:
        OutputError: it cannot be read, or is a folder, a pipe or a device.
    """
    if not is_there(path):
        return ""
    if not path.is_file():
        raise OutputError(f"{path} is there and is no ordinary file", hint="name another -o")
    try:
        with path.open("rb") as file:
            return file.read(_LOOKED_AT).decode("utf-8", "replace").replace("\r\n", "\n")
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}", hint="name another -o") from error


def is_own(path: Path, beginning: str, *kinds: str) -> bool:
    """Whether a file is empty or was written by acrank as one of these kinds: of OWN_TABLES, or "manifest"."""
    if not beginning:
        return True
    if "manifest" in kinds:
        return path.suffix.lower() in (".yaml", ".yml") and _MANIFEST.match(beginning) is not None
    if mark := _MARKED.get(path.suffix.lower()):
        return mark.match(beginning) is not None
    return any(OWN_TABLES[kind].wrote(path, beginning) for kind in kinds)
