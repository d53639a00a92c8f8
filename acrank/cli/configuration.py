"""Options from a file: `acrank.toml`, or `[tool.acrank]` of a `pyproject.toml`, below flags and `ACRANK_*` variables.

A file that lies in a folder of data or code was written by whoever gave that folder, so it never allows code, downloads
or links that lead outside, and names no cluster to send images to.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acrank.errors import UsageError
from acrank.system.bounds import read_bounded
from acrank.system.words import closest

#: Names the file, or says that there is none; else it is searched for.
VARIABLE = "ACRANK_CONFIG"
_NONE = "none"
#: Options whose value is a path, by what stands for it in the help: a relative one starts at the file's folder.
_PATHS = ("PATH", "FILE", "DIR")
_PLAIN = (str, int, float)


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What a configuration file says: `shared` for every command that has the option, `own` by command.

    Attributes:
        path: of the file.
        shared: key -> value.
        own: command -> key -> value.
    """

    path: Path
    shared: dict[str, Any]
    own: dict[str, dict[str, Any]]

    def keys_of(self, command: str) -> dict[str, Any]:
        """What the file says for one command, its own table before the shared keys."""
        return {**self.shared, **self.own.get(command, {})}


def find_configuration(start: Path) -> Configuration | None:
    """The configuration in use: that of ACRANK_CONFIG, else of the first folder from `start` upward that has one.

    The search ends with a folder that holds `.git`, and with the home folder.

    Raises:
        UsageError: the file cannot be read, is not TOML, or a folder has both files.
    """
    named = os.environ.get(VARIABLE, "")
    if named:
        return None if named == _NONE else _parsed(Path(named), _content_of(Path(named)))
    for folder in (start, *start.parents):
        try:
            found = [one for one in (_own_file(folder), _project_file(folder)) if one]
            is_last = (folder / ".git").exists() or folder == Path.home()
        except PermissionError:  # a folder that the user may not enter
            continue
        if len(found) > 1:
            text = f"{folder} has both acrank.toml and [tool.acrank] in pyproject.toml"
            raise UsageError(text, hint="keep one of them")
        if found or is_last:
            return found[0] if found else None
    return None


def _own_file(folder: Path) -> Configuration | None:
    path = folder / "acrank.toml"
    return _parsed(path, _content_of(path)) if path.is_file() else None


def _project_file(folder: Path) -> Configuration | None:
    path = folder / "pyproject.toml"
    if not path.is_file():
        return None
    text = read_bounded(path, UsageError)
    return _parsed(path, _content_of(path)) if "acrank" in text and _has_table(text) else None


def _has_table(text: str) -> bool:
    """Whether a pyproject.toml has [tool.acrank]; one that is not TOML is its other readers' business."""
    try:
        return "acrank" in tomllib.loads(text).get("tool", {})
    except (tomllib.TOMLDecodeError, RecursionError):
        return False


def _content_of(path: Path) -> Any:
    try:
        content: Any = tomllib.loads(read_bounded(path, UsageError))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not TOML: {error}", hint="see docs/tools.md for an example") from error
    return content.get("tool", {}).get("acrank", {}) if path.name == "pyproject.toml" else content


def _parsed(path: Path, content: Any) -> Configuration:
    if not isinstance(content, dict):
        raise UsageError(f"{path}: tool.acrank is no table", hint="write [tool.acrank]")
    own = {name: value for name, value in content.items() if isinstance(value, dict)}
    return Configuration(path=path, shared={k: v for k, v in content.items() if k not in own}, own=own)


def defaults_of(
    found: Configuration, command: str, *, params: Iterable[Any], everywhere: Iterable[Any]
) -> dict[str, Any]:
    """The file's values for a command as Click takes them, by the names of its parameters.

    Args:
        found: the configuration.
        command: its name.
        params: its parameters.
        everywhere: those of all commands, among which a shared key must be.

    Raises:
        UsageError: an unknown key, one that a file may not set, or a value of the wrong kind.
    """
    options, known = _settable(params), _settable(everywhere)
    for key in found.shared:
        _check_known(found.path, key, known)
    for key in found.own.get(command, {}):
        _check_known(found.path, key, options, command=command)
    values = {_plain_name(key): value for key, value in found.keys_of(command).items()}
    return {
        options[name].name: _value(found.path, name, value=value, option=options[name])
        for name, value in values.items()
        if name in options
    }


def check_tables(found: Configuration, commands: Mapping[str, Any]) -> None:
    """Hold the names of the file's tables against the commands that have options of their own.

    Raises:
        UsageError: a table is none of them.
    """
    for name in found.own:
        if name not in commands:
            hint = closest(name, commands, f"tables: {', '.join(commands)}")
            raise UsageError(f"{found.path}: no command {name!r} takes options from a file", hint=hint)


def _settable(params: Iterable[Any]) -> dict[str, Any]:
    """Key -> option, of those that a variable sets, too."""
    return {_key_of(param): param for param in params if param.envvar}


def _key_of(param: Any) -> str:
    """An option's key: its long flag without the hyphens before it."""
    return str(next(flag for flag in param.opts if flag.startswith("--"))[2:])


def _plain_name(key: str) -> str:
    return key.replace("_", "-")


def may_be_set(name: str) -> bool:
    """Whether a file may set an option.

    >>> may_be_set("samples"), may_be_set("allow-code"), may_be_set("ray-address")
    (True, False, False)
    """
    return not name.startswith("allow-") and name != "ray-address"


def _check_known(path: Path, key: str, known: Mapping[str, Any], *, command: str = "") -> None:
    name, table = _plain_name(key), f" in the table {command!r}" if command else ""
    if name in known and not may_be_set(name):
        text = f"{path}: {key!r} cannot be set in a file, which may come with a folder of somebody else's"
        raise UsageError(text, hint=f"give --{name}, or set {known[name].envvar}")
    if name not in known:
        usable = [one for one in known if may_be_set(one)]
        hint = closest(name, usable, "keys are the options that have an ACRANK_* variable: see --help")
        raise UsageError(f"{path}: unknown key {key!r}{table}", hint=hint)


def _value(path: Path, key: str, *, value: Any, option: Any) -> Any:
    """A value as Click takes it: text, switches as they are, lists where the option repeats."""
    if option.is_flag or option.secondary_opts:
        if not isinstance(value, bool):
            raise UsageError(f"{path}: {key!r} must be true or false, not {value!r}")
        return value
    parts = value if isinstance(value, list) and option.multiple else [value]
    if any(isinstance(part, bool) or not isinstance(part, _PLAIN) for part in parts):
        wanted = "text, a number or a list of them" if option.multiple else "text or a number"
        raise UsageError(f"{path}: {key!r} must be {wanted}, not {value!r}")
    texts = [str(path.parent / part) if option.metavar in _PATHS else str(part) for part in parts]
    return texts if option.multiple else texts[0]
