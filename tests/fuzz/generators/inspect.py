"""`acrank inspect`: any target that the other generators make, damaged or sound, with a contact sheet."""

from __future__ import annotations

from fuzz.case import Case
from fuzz.generators.options import commands
from fuzz.workspace import Workspace, load_moves, move

#: Generators of targets.
_TARGETS = ("arrays", "dicom", "hdf5", "images", "masks", "nifti", "nnunet", "rasters", "tables")


def _inspected(w: Workspace, case: Case) -> Case:
    """The target of a case of `acrank score`, with those of its options that say how to read it."""
    flags = {flag: option for option in commands()["inspect",].params for flag in option.opts}
    words, kept = list(case.argv), ["inspect"]
    while words:
        word = words.pop(0)
        option = flags.get(word)
        if word.startswith("-") and len(word) > 1:
            value = [] if option is not None and option.is_flag else words[:1]
            del words[: len(value)]
            if option is not None and word not in ("--zoo", "-o", "-f"):
                kept += [word, *value]
    outputs = w.random.choice((("-o", "sheet.png"), ("-o", "sheet.png", "-o", "out.json"), ("-o", "out.csv"), ()))
    more = w.random.choice(((), (), ("--examine", 3), ("--zoo", w.materials.zoo), ("-f", "json")))
    known = {"sound": case.sound, "kept": case.kept, "secret": case.secret, "env": case.env}
    return w.case(*kept, *outputs, *more, written=("sheet.png", "out.json", "out.csv"), **known)


def _register(entry: str) -> None:
    """A move that takes a target of another generator, by any of its moves."""

    def inspects(w: Workspace) -> Case:
        moves = load_moves()[entry]
        case = moves[w.random.choice(sorted(moves))](w)
        return _inspected(w, case) if "--data" in case.argv else case

    inspects.__name__ = entry
    move(inspects)


for _entry in _TARGETS:
    _register(_entry)


@move
def sound(w: Workspace) -> Case:
    """Class folders."""
    return _inspected(w, w.score_one(w.materials.data, sound=True))
