"""Figures of a package's structure: rooms and the arrows between them, lines, and what the house rules count.

    python benchmarks/structure/figures.py [--package acrank] [--names]
    python benchmarks/structure/figures.py --trace

The package is read, not imported, so that an older checkout can be measured as well. `--trace` runs `acrank score` on
one embedded checkpoint, and counts the functions and files of the imported acrank that the run enters; set PYTHONPATH
to trace another checkout.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
import threading
from pathlib import Path
from types import CodeType, FrameType

from package_source import Package, components, levels

ACRANK = Path(__file__).parents[2] / "acrank"
_NO_FUNCTIONS = {"<module>", "<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}


def figures(package: Package) -> dict[str, object]:
    """What can be told without running anything, by name."""
    arrows, at_runtime = package.arrows(), package.arrows(typing=False)
    lines = sum(file.lines for file in package.files)
    circles = [sorted(group) for group in components(package.rooms, arrows) if len(group) > 1]
    return {
        "files": len(package.files),
        "rooms": len(package.rooms),
        "folders": len(package.rooms) - len(package.loose),
        "loose files": len(package.loose),
        "arrows": len(arrows),
        "arrows at run time": len(at_runtime),
        "levels": levels(package.rooms, arrows),
        "levels at run time": levels(package.rooms, at_runtime),
        "circles": "; ".join(" ".join(names) for names in circles) or 0,
        "circles at run time": sum(len(group) > 1 for group in components(package.rooms, at_runtime)),
        "lines": lines,
        "lines of code": sum(file.code_lines for file in package.files),
        "comments per 1,000 lines": round(1000 * sum(file.comments for file in package.files) / lines, 1),
        "files over 300 lines": sum(file.lines > 300 for file in package.files),
        "calls with over 3 positional arguments": len(package.positional_calls()),
        "public names defined twice": len(package.public_names_defined_twice()),
        "file names shared": len(package.shared_basenames()),
    }


def names(package: Package) -> list[str]:
    """What the last three figures count, a line each."""
    calls = [f"{file.path}:{call.lineno}: {name}" for file, call, name in package.positional_calls()]
    twice = {**package.public_names_defined_twice(), **package.shared_basenames()}
    return [*calls, *(f"{name}: {', '.join(files)}" for name, files in twice.items())]


def trace() -> dict[str, object]:
    """Functions and files of acrank that `acrank score` enters for one model and 60 images, in this process."""
    import acrank
    from acrank.cli import main
    from acrank.demo import make_target, zoo_path

    assert acrank.__file__
    root, entered = str(Path(acrank.__file__).parent), set[CodeType]()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            entered.add(frame.f_code)

    with tempfile.TemporaryDirectory() as folder:
        make_target(Path(folder) / "target", n=60)
        words = [
            "score",
            "--zoo",
            str(zoo_path().resolve()),
            "--data",
            "target",
            "--model",
            "resnet-shapes",
            "--no-cache",
        ]
        with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
            threading.setprofile(note)  # what loads ahead does so in a thread of its own
            sys.setprofile(note)
            try:
                code = main(words)
            finally:
                sys.setprofile(None)
                threading.setprofile(None)
    if code:
        sys.exit(f"acrank score ended with exit code {code}")
    own = {one for one in entered if one.co_filename.startswith(root + os.sep)}
    functions = {(one.co_filename, one.co_qualname) for one in own if one.co_name not in _NO_FUNCTIONS}
    return {
        "traced": root,
        "functions entered": len(functions),
        "files whose functions are entered": len({path for path, _ in functions}),
        "files loaded": len({one.co_filename for one in own if one.co_name == "<module>"}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, default=ACRANK, help="folder of the package to read")
    parser.add_argument("--names", action="store_true", help="also list the calls and names that are counted")
    parser.add_argument("--trace", action="store_true", help="trace a run of acrank score instead")
    given = parser.parse_args()
    package = Package(given.package)
    found = trace() if given.trace else figures(package)
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:<{width}}  {value}")
    for line in names(package) if given.names else []:
        print(line)


if __name__ == "__main__":
    main()
