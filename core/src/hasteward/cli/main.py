"""The entry point: parse, run one verb, print its answer or its error, and say it all in the exit status."""

from __future__ import annotations

import functools
import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hasteward import __version__
from hasteward.domain.errors import ExitCode, HastewardError, InvalidInput

if TYPE_CHECKING:
    from hasteward.cli.parser import Contributed, Invocation
    from hasteward.plugins import Plugins
    from hasteward.wiring import Factories


class BadUsage(HastewardError):
    """The command line could not be parsed."""

    exit_code = ExitCode.USAGE
    code = "usage"


def main(argv: Sequence[str] | None = None, factories: Factories | None = None) -> int:
    """Run one command; the exit status. Tests pass `factories` of fakes."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"]:
        sys.stdout.write(f"hasteward {__version__}\n")
        return ExitCode.OK
    # while modules load and the command line is parsed there is nothing to collect, only time to lose
    gc.disable()
    from hasteward.cli.run import failed
    from hasteward.cli.signals import Stopped, handled

    with handled():
        try:
            return _main(arguments, factories, alone=argv is None)
        except SystemExit as error:
            return _status(error)
        except KeyboardInterrupt as error:
            from hasteward.domain.errors import Interrupted

            name = error.signal_name if isinstance(error, Stopped) else "SIGINT"
            return failed(Interrupted(f"stopped by {name}"), arguments)
        except Exception as error:  # noqa: BLE001  the edge: everything ends as one line and a status
            return failed(error, arguments)
        finally:
            # frozen, the modules need not be searched again when the interpreter ends (40 ms)
            gc.freeze()
            gc.enable()


def _main(arguments: list[str], factories: Factories | None, *, alone: bool) -> int:
    """`alone`: the process is ours, and nobody minds what becomes of it."""
    _require_linux()
    from hasteward.cli import parser

    @functools.cache
    def plugins() -> Plugins:
        from hasteward.config.settings import BY_NAME
        from hasteward.plugins import installed_entry_points, load

        found = factories.entry_points() if factories else installed_entry_points()
        return load(found, BY_NAME)

    try:
        asked = parser.parse(arguments, plugins)
    except parser.UsageProblem as error:
        raise _bad_usage(error) from error
    if isinstance(asked, int):
        return asked
    gc.enable()
    if isinstance(asked, parser.Contributed):
        return _run_contributed(asked)
    if alone:
        from hasteward.adapters.system import leave_no_core_dump

        leave_no_core_dump()
    return _run(asked, factories)


def _run(asked: Invocation, factories: Factories | None) -> int:
    from hasteward.cli.run import run

    return run(asked, factories, os.environ)


def _status(error: SystemExit) -> int:
    """What a command of a plugin, or typer, meant by leaving; a text is an error message, as in Python."""
    if error.code is None or isinstance(error.code, int):
        return error.code or ExitCode.OK
    sys.stderr.write(f"error: {error.code}\n")
    return ExitCode.FAILED


def _run_contributed(asked: Contributed) -> int:
    """Import the target of a plugin's command and hand it its arguments."""
    import importlib

    module, _, name = asked.spec.target.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InvalidInput(
            f"the command {asked.spec.name!r} of a plugin cannot be loaded: {error}", code="plugin.command"
        ) from error
    return int(function(list(asked.arguments)) or 0)


def _bad_usage(error: Exception) -> HastewardError:
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", "hasteward")
    message = str(getattr(error, "format_message", error.__str__)())
    return BadUsage(message.rstrip("."), hint=f"{path} --help")


def _require_linux() -> None:
    if not sys.platform.startswith("linux"):
        from hasteward.domain.errors import DependencyError

        raise DependencyError(
            f"hasteward runs on Linux only, and this is {sys.platform}",
            hint="run it in a container or on any Linux machine that reaches the cluster",
            code="platform.unsupported",
        )


if __name__ == "__main__":
    sys.exit(main())
