"""A manifest from a folder of checkpoints: what is sure as entries, the rest as comments that say why."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from acrank.errors import UsageError
from acrank.system.bounds import device_of, kernel_devices
from acrank.system.files import is_there
from acrank.zoo.entries import comment, entry_text, unique_id
from acrank.zoo.findings import Finding, finding_of
from acrank.zoo.fingerprint_index import Advance, Index

_MOST_REASONS = 2  # of a file in one line; the manifest has all


@dataclass
class FolderScan:
    """A scanned folder.

    Attributes:
        folder: as it was given.
        findings: in the order of the files' paths.
        left_out: reason -> number of files that are no checkpoints.
    """

    folder: Path
    findings: list[Finding] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def counts(self) -> dict[str, int]:
        """Number of sure, guessed and unknown files."""
        return {kind: sum(one.kind == kind for one in self.findings) for kind in ("sure", "guessed", "unknown")}

    @property
    def summary(self) -> str:
        """One line: files, how many are sure, guessed and unknown, and how many sure ones fit others as well."""
        left = ", ".join(f"{count} {what}" for what, count in sorted(self.left_out.items()))
        doubtful = len(self._doubtful)
        fit = f" ({doubtful} fit{'s' if doubtful == 1 else ''} other architectures as well)" if doubtful else ""
        counts = ", ".join(f"{count} {kind}{fit * (kind == 'sure')}" for kind, count in self.counts.items())
        files = f"{len(self.findings)} file{'s' if len(self.findings) != 1 else ''}"
        return f"{files}, {counts}" + (f" (left out: {left})" if left else "")

    def told(self, most: int = 20) -> list[str]:
        """A line for each file that is known, "run.pth: resnet18"; of more than `most` the first ones.

        Args:
            most: lines of files.
        """
        sure = [one for one in self.findings if one.kind == "sure"]
        lines = [f"{self._shown(one)}: {one.entries[0].architecture}" for one in sure[:most]]
        return [*lines, *([f"and {len(sure) - most} more"] if len(sure) > most else [])]

    def unsure(self, most: int = 20) -> list[str]:
        """A line for each guess and each unknown file that says why; of more than `most` the first ones.

        Args:
            most: lines of files.
        """
        found = [one for kind in ("guessed", "unknown") for one in self.findings if one.kind == kind]
        lines = []
        for one in found[:most]:
            what = "unknown" if one.kind == "unknown" else f"a guess, {one.entries[0].architecture}"
            lines.append(f"{self._shown(one)}: {what}: {'; '.join(one.why[:_MOST_REASONS])}")
        rest = f"and {len(found) - most} more that are not sure: the comments in the manifest say why"
        return [*lines, *([rest] if len(found) > most else [])]

    @property
    def advice(self) -> str | None:
        """What to do about files with tensors of no known network; None where there are none."""
        if not any(one.has_tensors for one in self.findings):
            return None
        return (
            "a file of an unknown network can be ranked by an entry of your own: its `architecture:` by name, or "
            "`architecture: factory:FILE:FUNCTION` with code of yours and --allow-code (docs/own-zoo.md)"
        )

    @property
    def doubt(self) -> str | None:
        """A sentence on the files whose architecture has twins of other layers; None where there are none."""
        found = self._doubtful
        if not found:
            return None
        shown = "; ".join(f"{one.path.name}: {one.entries[0].architecture} or {one.twins[0]}" for one in found[:3])
        more = f"; {len(found) - 3} more" if len(found) > 3 else ""
        return f"tensors do not tell apart what differs in padding or activation ({shown}{more}): see the comments"

    def manifest(self, base: Path) -> str:
        """The manifest as YAML, with paths relative to `base`."""
        lines = ["version: 1", *comment(f"{self.summary}; by `acrank zoo scan`"), "models:"]
        used: set[str] = set()
        for kind in ("sure", "guessed", "unknown"):
            for one in self.findings:
                if one.kind == kind:
                    lines += self._lines(one, base, used)
        if not self.counts["sure"]:
            lines[2:3] = [*comment("`models:` without brackets, once an entry below is used"), "models: []"]
        return "\n".join(lines) + "\n"

    @property
    def _doubtful(self) -> list[Finding]:
        """Files whose entry is one of several architectures that their tensors fit, and no name decides."""
        return [one for one in self.findings if one.kind == "sure" and one.twins]

    def _shown(self, one: Finding) -> str:
        return os.path.relpath(one.path, self.folder)

    def _lines(self, one: Finding, base: Path, used: set[str]) -> Iterator[str]:
        shown = self._shown(one)
        if one.kind == "unknown":
            yield from comment(f"unknown: {shown}", *one.why, indent=2)
            return
        for entry in one.entries:
            name = unique_id(Path(shown), used)
            text = entry_text(entry, name, os.path.relpath(one.path, base))
            if one.kind == "guessed":
                yield from comment(f"guess for {shown}", *one.why, indent=2)
                yield from (f"  # {line}" for line in text)
            else:
                yield text[0].replace("- ", "  - ", 1)
                yield from (f"  {line}" for line in text[1:])
                yield from comment(*one.why, indent=4)


def check_folder(folder: Path) -> None:
    """Fail before the work.

    Raises:
        UsageError: there is no such folder, no file in it, or it is the root of the system.
    """
    hint = "name the folder that holds the checkpoints"
    if not is_there(folder):
        raise UsageError(f"{folder} does not exist", hint=hint)
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint=hint)
    if os.path.realpath(folder) == os.sep:  # a walk through the whole system takes minutes on a slow disk
        raise UsageError(f"{folder} is the root of the system", hint=hint)
    if next(_files(folder, Counter()), None) is None:
        raise UsageError(f"{folder} holds no file", hint=hint)


def scan_folder(
    folder: Path,
    index: Index,
    *,
    encoders: Callable[[], Index] = lambda: Index([]),
    advance: Advance = lambda done, total, text: None,
) -> FolderScan:
    """Find out the architecture, names and channels of every checkpoint in a folder and the folders in it.

    Files are read as data, most of them without their numbers. Links that leave the folder are not followed.

    Args:
        folder: to scan.
        index: of known architectures.
        encoders: gives the index of segmentation-models-pytorch's encoders; asked where a file may have one.
        advance: is told how many files are done.

    Raises:
        UsageError: there is no such folder.
    """
    check_folder(folder)
    scan = FolderScan(folder)
    paths = sorted(_files(folder, scan.left_out))
    for i, path in enumerate(paths):
        advance(i, len(paths), path.name)
        if (found := finding_of(path, index, encoders)) is not None:
            scan.findings.append(found)
        else:
            scan.left_out["other files"] += 1
    return scan


def _files(folder: Path, left_out: Counter[str]) -> Iterator[Path]:
    """Regular files, each once; links that leave the folder or name a file again are counted instead."""
    root = folder.resolve()

    def cannot_list(_: OSError) -> None:
        left_out["folders that cannot be read"] += 1

    for place, folders, names in os.walk(folder, onerror=cannot_list):
        if device_of(Path(place)) in kernel_devices():
            left_out["folders of what the kernel shows as files"] += 1
            folders.clear()
            continue
        folders.sort()
        left_out.update("links to folders" for name in folders if (Path(place) / name).is_symlink())
        for name in names:
            path = Path(place) / name
            if (kind := _kind(path, root)) is None:
                yield path
            else:
                left_out[kind] += 1


def _kind(path: Path, root: Path) -> str | None:
    """What a path is that is no file of the folder; None for such a file."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return "files that are gone"
    if stat.S_ISLNK(mode):
        return "links to files in the folder" if _is_inside(path, root) else "links that leave the folder or are broken"
    return None if stat.S_ISREG(mode) else "devices and pipes"


def _is_inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):  # broken, or a circle
        return False
