"""The command line: ``pkpd simulate | study | models | run | check | report | replay | new``.

Exit codes: 0 when all is well, 1 when something given to a command is wrong (a model, a dose, a file), 2 when the
command itself was written wrongly, 130 when Ctrl-C stopped it. An error is told in words; ``--debug`` adds the
traceback.
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pkpd import __version__
from pkpd.errors import PkpdError, PkpdWarning, UsageError

if TYPE_CHECKING:
    from cyclopts import App

HELP = """Pharmacokinetic and pharmacodynamic models as readable text: simulate, fit, report.

Exit codes: 0 all is well; 1 something given to the command is wrong; 2 the command was written wrongly; 130 Ctrl-C.
Add `--debug` anywhere to see where in the program an error arose.
"""


def commands() -> tuple[Callable[..., int | None], ...]:
    """Give what can be asked for, in the order of the help."""
    from pkpd.cli import fits, models, simulate, study

    return (
        simulate.simulate,
        study.study,
        models.models,
        fits.run,
        fits.check,
        fits.report,
        fits.replay,
        fits.new,
    )


def make_app() -> App:
    """Give the commands, with their options and help."""
    from cyclopts import App, Group

    app = App(name="pkpd", help=HELP, version=__version__, help_format="markdown", group_parameters=Group("Options"))
    for command in commands():
        app.command(command)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``pkpd``; those of the process when left out.

    Returns
    -------
    int
        The exit code.
    """
    from cyclopts import CycloptsError

    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        command, bound, _ = make_app().parse_args(words, exit_on_error=False, print_error=False)
        with _own_warnings_in_words():
            code = command(*bound.args, **bound.kwargs)
        return code if isinstance(code, int) else 0
    except CycloptsError as error:
        return _fail(UsageError(_sentence(error), where=_called(words), remedy=_help_of(words)), debug)
    except PkpdError as error:
        return _fail(error, debug)
    except BrokenPipeError:
        # Whoever read the output, such as `head`, has had enough of it; nothing is left to flush to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as stop:
        print(" ".join(["Stopped.", *map(str, stop.args)]), file=sys.stderr)
        return 130
    except Exception as error:
        if debug:
            traceback.print_exc()
        else:
            print(
                f"pkpd: {type(error).__name__}: {error}\n"
                "  This is a fault in the program, not in what it was given. Run the command again with --debug, and "
                "report what it prints.",
                file=sys.stderr,
            )
        return 1


@contextmanager
def _own_warnings_in_words() -> Iterator[None]:
    """Tell our warnings as errors are told; others as Python does."""
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, PkpdWarning):
                print(f"Warning: {message}", file=sys.stderr)
            else:
                usual(message, category, *place, **more)

        warnings.showwarning = show
        yield


def _fail(error: PkpdError, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(error, file=sys.stderr)
    return 2 if isinstance(error, UsageError) else 1


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if text.endswith((".", "?", "!")) else text + "."


def _called(words: list[str]) -> str:
    return f"pkpd {words[0]}" if words and not words[0].startswith("-") else "pkpd"


def _help_of(words: list[str]) -> str:
    known = [command.__name__ for command in commands()]
    return f"`pkpd {words[0]} --help` lists what it takes." if words and words[0] in known else "See `pkpd --help`."
