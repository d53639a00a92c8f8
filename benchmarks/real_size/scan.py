"""How many of thirty made checkpoints `acrank zoo scan` tells: a table of architecture, wrapping and what was found.

    python benchmarks/real_size/scan.py [--cache FOLDER]

The index of architectures comes from acrank's cache, or is built into it (minutes). One file is on the disk at a time.
Exit status 1 where fewer than 28 are right or one is wrong.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[2] / "tests")]

from helpers.made_checkpoints import THIRTY, Made, make  # noqa: E402

from acrank.cache import default_folder  # noqa: E402
from acrank.zoo.fingerprint_index import Index, index_name, load_index  # noqa: E402
from acrank.zoo.scanning import scan_folder  # noqa: E402


def main() -> int:
    """Print the table; the exit status says whether it is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=default_folder(), help="folder of the index")
    cache = parser.parse_args().cache
    started = time.monotonic()
    index, encoders = load_index(cache, "timm", "torchvision"), load_index(cache, "smp")
    sizes = {name: (cache / index_name(name)).stat().st_size / 1e6 for name in ("timm", "torchvision", "smp")}
    told = ", ".join(f"{name} {size:.2f} MB" for name, size in sizes.items())
    print(f"index of {len(index.fingerprints)} architectures: {time.monotonic() - started:.1f} s; {told}\n")
    print("| architecture | wrapping | channels | found | verdict | s |\n| --- | --- | ---: | --- | --- | ---: |")
    verdicts = [row(one, index, encoders) for one in THIRTY]
    counts = {verdict: verdicts.count(verdict) for verdict in ("right", "unknown", "wrong")}
    print(f"\n{counts}; peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    return int(counts["right"] < 28 or counts["wrong"] > 0)


def row(one: Made, index: Index, encoders: Index) -> str:
    """Make a file, scan it, and print its row; returns the verdict."""
    with tempfile.TemporaryDirectory() as folder:
        make(one, Path(folder))
        started = time.monotonic()
        [found] = scan_folder(Path(folder), index, encoders=lambda: encoders).findings
        seconds = time.monotonic() - started
    names = [entry.architecture for entry in found.entries]
    verdict = "unknown"
    if names:
        keys = found.entries[0].keys
        channels = keys.get("in_chans") or keys.get("factory_args", {}).get("in_channels", 3)
        wanted = ([one.architecture], one.channels, "guessed" if one.guess else "sure")
        verdict = "right" if (names, channels, found.kind) == wanted else "wrong"
    text = f"{found.kind}: {', '.join(names) or found.why[0]}"
    print(f"| {one.architecture} | {one.wrapping} | {one.channels} | {text} | {verdict} | {seconds:.1f} |", flush=True)
    return verdict


if __name__ == "__main__":
    sys.exit(main())
