"""Command lines and variables: any option of any command, with any word."""

from __future__ import annotations

from functools import cache
from typing import Any

from fuzz.case import Case
from fuzz.odd import HOSTILE, NUMBER_WORDS, WORDS
from fuzz.workspace import Workspace, move

#: Started for real: a cluster, or an installation of shell completion.
_LEFT_OUT = ("--install-completion", "--show-completion", "--ray-address", "--executor", "--help", "-h", "--allow-code")


#: Words that some option takes, and others choke on.
USUAL = (
    "all",
    "none",
    "auto",
    "consensus",
    "x",
    "0",
    "-1",
    "nan",
    "inf",
    "99999999999",
    "a,a",
    "",
    "finetunability",
    "cpu",
)


@cache
def commands() -> dict[tuple[str, ...], Any]:
    """Every command, by its words."""
    import typer.main

    from acrank.cli.app import build

    found: dict[tuple[str, ...], Any] = {}

    def add(command: Any, words: tuple[str, ...]) -> None:
        if hasattr(command, "commands"):
            for name, one in command.commands.items():
                add(one, (*words, name))
        elif words[0] != "demo":
            found[words] = command

    add(typer.main.get_command(build()), ())
    return found


def base_of(w: Workspace, words: tuple[str, ...]) -> list[str]:
    """Arguments that make the command run."""
    where = ["--zoo", str(w.materials.zoo), "--data", str(w.materials.data)]
    run, truth = str(w.materials.run), str(w.materials.truth)
    known = {
        ("score",): [*where, "--model", "a", "--samples", "8", "--repeats", "1", "--scores", "probe_accuracy"],
        ("finetune",): [*where, "--model", "a", "--epochs", "1", "--splits", "1", "--lr", "0.01"],
        ("compare",): [run, "--truth", truth, "--resamples", "100"],
        ("check",): [run, "--no-skipped"],
        ("merge",): [run],
        ("inspect",): where[2:],
        ("report",): [run, "-o", "report.html"],
        ("zoo", "scan"): ["."],
        ("zoo", "list"): where[:2],
        ("zoo", "validate"): where[:2],
    }
    if words == ("zoo", "lock"):  # the lock file lies beside the manifest
        return ["--zoo", str(w.write_zoo(w.materials.entry("a")))]
    return list(known.get(words, []))


def _options(command: Any) -> list[Any]:
    return [one for one in command.params if one.param_type_name == "option" and not set(_LEFT_OUT) & set(one.opts)]


def _word(w: Workspace, option: Any) -> str:
    numbers = _is_number(option) and w.random.random() < 0.8
    word = w.random.choice(w.random.choice((NUMBER_WORDS if numbers else WORDS, USUAL)))
    return word.encode("utf-8", "replace").decode()


def _is_number(option: Any) -> bool:
    kind = getattr(option, "type", None) or option.type_descriptor.annotation
    return any(word in str(kind).lower() for word in ("int", "float"))


def _picked(w: Workspace) -> tuple[tuple[str, ...], Any]:
    kinds = [words for words in commands() if words != ("zoo", "scan")]
    weights = [4 if words in (("score",), ("finetune",), ("check",), ("compare",)) else 1 for words in kinds]
    words = w.random.choices(kinds, weights)[0]
    return words, commands()[words]


@move
def sound(w: Workspace) -> Case:
    """The arguments that the other moves start from."""
    words, _ = _picked(w)
    return w.case(*words, *base_of(w, words), sound=True)


@move
def odd_numbers(w: Workspace) -> Case:
    """One to three options of numbers with odd numbers."""
    words = w.random.choice((("score",), ("score",), ("finetune",), ("compare",), ("check",)))
    numeric = [option for option in _options(commands()[words]) if _is_number(option)]
    more: list[str] = []
    for option in w.random.sample(numeric, w.random.choice((1, 1, 2, 3))):
        more += [option.opts[-1], w.random.choice(NUMBER_WORDS)]
    return w.case(*words, *base_of(w, words), *more)


@move
def odd_words(w: Workspace) -> Case:
    """One to three options with odd words."""
    words, command = _picked(w)
    more: list[str] = []
    options = _options(command)
    for option in w.random.sample(options, min(len(options), w.random.choice((1, 1, 2, 3)))):
        flag = w.random.choice([*option.opts, *option.secondary_opts])
        more += [flag] if option.is_flag or option.count else [flag, _word(w, option)]
    return w.case(*words, *base_of(w, words), *more)


@move
def odd_variables(w: Workspace) -> Case:
    """One to three variables with odd words."""
    words, command = _picked(w)
    options = [one for one in _options(command) if one.envvar]
    env = {}
    for option in w.random.sample(options, min(len(options), w.random.choice((1, 1, 2, 3)))):
        env[str(option.envvar)] = _word(w, option).replace("\0", "")
    given = base_of(w, words)
    for name in env:  # what is given goes before a variable: leave it out
        flag = f"--{name.removeprefix('ACRANK_').lower().replace('_', '-')}"
        if flag in given:
            at = given.index(flag)
            del given[at : at + 2]
    return w.case(*words, *given, env=env)


@move
def odd_arguments(w: Workspace) -> Case:
    """Arguments that are too many, missing, or strange."""
    words, _ = _picked(w)
    given = base_of(w, words)
    action = w.random.randrange(10)
    if action < 3 and given:
        del given[w.random.randrange(len(given))]
    elif action < 6:
        given.insert(w.random.randrange(len(given) + 1), w.random.choice((*WORDS, "a\0b")))
    elif action < 9 and given:
        given[w.random.randrange(len(given))] = w.random.choice((*WORDS, "a\0b"))
    else:
        return w.case(w.random.choice((*WORDS, *HOSTILE)), *words, *given)
    return w.case(*words, *given)


@move
def odd_outputs(w: Workspace) -> Case:
    """Outputs that cannot be written, or whose names are strange."""
    words, command = _picked(w)
    if not any("-o" in option.opts for option in command.params):
        words = ("score",)
    (w.folder / "folder.json").mkdir()
    (w.folder / "loop.json").symlink_to("loop.json")
    names = (
        "folder.json",
        "loop.json",
        "/dev/full",
        "/dev/null",
        "x",
        "x.exe",
        ".json",
        "a" * 300 + ".json",
        "/x/y.json",
    )
    more = (
        *names,
        "a\x1b[31m.json",
        "a\n::error::b.json",
        "a\u202eb.json",
        "nothing/x.json",
        "",
        "a/" * 3000 + "x.json",
        "a\0.json",
    )
    return w.case(*words, *base_of(w, words), "-o", w.random.choice(more))
