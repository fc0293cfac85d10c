"""The configuration file: where it is, and what may stand in it."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hasteward.config.settings import BY_NAME, Setting, Value
from hasteward.config.values import from_toml
from hasteward.domain.errors import InvalidInput


def no_options() -> Mapping[str, bool]:
    """Without engines there are no options of theirs."""
    return {}


#: the bits that let others than the owner read
_OTHERS_MAY_READ = 0o044


def others_may_read(path: Path) -> bool:
    """Whether it is a regular file (no pipe) that group or others may read."""
    return path.is_file() and bool(path.stat().st_mode & _OTHERS_MAY_READ)


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What was read. `path` is None when there is no file; `exposed` if others can read a secret in it.

    `options` are the values of engines' options as they stand there: the engine that is chosen, perhaps by
    this very file, says how they are read.
    """

    path: Path | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    exposed: bool = False
    options: Mapping[str, object] = field(default_factory=dict)


def default_path(environ: Mapping[str, str]) -> Path | None:
    """``hasteward/config.toml`` below XDG_CONFIG_HOME or ~/.config; None without a home."""
    if base := environ.get("XDG_CONFIG_HOME"):
        return Path(base, "hasteward", "config.toml")
    home = environ.get("HOME")
    return Path(home, ".config", "hasteward", "config.toml") if home else None


def read(
    named: str, environ: Mapping[str, str], known_options: Callable[[], Mapping[str, bool]] = no_options
) -> ConfigFile:
    """Read the file called `named`, or the default one if there is one.

    `known_options` gives the names of the installed engines' options, each with whether it is a secret; it
    is asked only when the file holds a key that is none of core's.
    Raises InvalidInput for a named file that is missing, for text that is no TOML and for unknown keys.
    """
    path = Path(named).expanduser() if named else default_path(environ)
    if path is None or (not named and not path.is_file()):
        return ConfigFile()
    try:
        raw = path.read_bytes()
        document = tomllib.loads(raw.decode("utf-8"))
    except FileNotFoundError:
        raise InvalidInput(f"the configuration file {path} does not exist", code="config.missing") from None
    except OSError as error:
        raise InvalidInput(
            f"the configuration file {path} cannot be read: {error.strerror}", code="config.unreadable"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        # its text quotes the file, which may hold a password; the place is enough
        where = _place(error)
        raise InvalidInput(
            f"the configuration file {path} is not TOML{where}", code="config.broken"
        ) from None
    options = known_options() if document.keys() - BY_NAME.keys() else {}
    values: dict[str, Value] = {}
    for key, value in document.items():
        if key not in options:
            values[key] = from_toml(_setting(key, path, options), value, f"{key} in {path}")
    raw_options = {key: value for key, value in document.items() if key in options}
    secret = any(BY_NAME[key].secret for key in values) or any(options[key] for key in raw_options)
    return ConfigFile(path, values, exposed=secret and others_may_read(path), options=raw_options)


def _place(error: Exception) -> str:
    text = str(error)
    start = text.rfind("(at ")
    return f" {text[start:]}" if start >= 0 else ""


def _setting(key: str, path: Path, options: Collection[str]) -> Setting:
    found = BY_NAME.get(key)
    if found is None:
        known = [*(setting.name for setting in BY_NAME.values() if setting.in_file), *options]
        close = difflib.get_close_matches(key.replace("-", "_").lower(), known, n=1, cutoff=0.5)
        raise InvalidInput(
            f"{path}: there is no setting {key!r}" + (f"; did you mean {close[0]!r}?" if close else ""),
            hint="hasteward config show   (lists every setting)",
            code="config.unknown_key",
        )
    require_in_file(found, path)
    return found


def require_in_file(setting: Setting, path: Path | None) -> None:
    """InvalidInput for a setting that must not stand in a file."""
    if not setting.in_file:
        raise InvalidInput(
            f"{path}: {setting.name!r} cannot be set in a file; it is said anew for every run",
            hint=f"use {setting.ways}",
            code="config.not_in_file",
        )
