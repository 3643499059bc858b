"""Shared parts of the command lines: start, end and errors.

Importing this module is cheap; the modules of commands import their dependencies when they are
called.
"""

from __future__ import annotations

import inspect
import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from cyclopts import App, CycloptsError, Group, Parameter, Token, convert

from gfncore.compiled_code import COMPILING, compilation_told
from gfncore.errors import UserError, one_line
from gfncore.program.clock import command_of_process
from gfncore.program.interruption import Terminated, signals_interrupt
from gfncore.program.messages import say
from gfncore.program.options import Option, Options
from gfncore.program.output import absolute_path
from gfncore.text.hints import without_far_hints
from gfncore.text.numbers import parse_float, parse_int

__all__ = ["Flag", "InputFile", "build_app", "run_app", "with_options"]

# PyTorch's words, on the processor and on a GPU
_OUT_OF_MEMORY = re.compile(r"not enough memory|out of memory", re.IGNORECASE)

Result = TypeVar("Result")

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
"""An option without a value, off unless given."""


def _no_option(kind: Any, path: Path) -> None:
    """Refuse a misspelt option among files, which the parser then no longer does."""
    # os.path: a name too long for a file is an unknown option, too
    if path.name.startswith("-") and path.name != "-" and not os.path.exists(path):
        raise UserError(f"Unknown option: {path}; ./{path} would be a file")


InputFile = Annotated[Path, Parameter(allow_leading_hyphen=True, validator=_no_option)]
"""One of several input files; ``-`` is standard input."""


def build_app(program: str, help: str, commands: Iterable[Callable[..., Any] | App]) -> App:
    """Return an application of subcommands.

    Parameters
    ----------
    program : str
        Its name.
    help : str
        Its description with examples, as Markdown.
    commands : iterable of callables or applications
        The subcommands, in the order of the help.
    """

    def version() -> str:
        from gfncore.program.provenance import software_version

        return f"{program} {software_version()}"

    app = App(
        name=program,
        help=help,
        help_format="markdown",
        version=version,
        version_flags=["--version"],
        suppress_keyboard_interrupt=False,
        # words are taken literally: a file may be called [1].nwk, which is not a JSON list
        default_parameter=Parameter(converter=_convert, json_list=False, json_dict=False),
    )
    for command in commands:
        app.command(command)
    return app


def with_options(
    options: type[Options],
) -> Callable[[Callable[[dict[str, Any]], Result]], Callable[..., Result]]:
    """Return a decorator that turns a function into a command with these options.

    The function receives the values by the names of the options. An option that is not on the
    command line is None, so that a configuration file or the default of the settings applies.
    """
    parameters = list(_parameters(options))
    signature = inspect.Signature(parameters)

    def decorate(function: Callable[[dict[str, Any]], Result]) -> Callable[..., Result]:
        def command(*by_place: Any, **by_name: Any) -> Result:
            given = signature.bind(*by_place, **by_name).arguments
            return function({name: given.get(name) for name in signature.parameters})

        command.__name__ = command.__qualname__ = function.__name__
        command.__module__, command.__doc__ = function.__module__, function.__doc__
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        command.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess]
        return command

    return decorate


def _parameters(options: type[Options]) -> Iterator[inspect.Parameter]:
    """Yield the parameters of a command line, positional ones first."""
    groups = {name: Group(name, sort_key=n) for n, name in enumerate(options.GROUPS, start=1)}
    hints = get_type_hints(options, include_extras=True)
    for name in sorted(hints, key=lambda name: name not in options.POSITIONAL):
        extras = getattr(hints[name], "__metadata__", ())
        option = next((extra for extra in reversed(extras) if isinstance(extra, Option)), None)
        if option is None:
            continue
        kind = option.words or _without_none(hints[name].__origin__)
        default = getattr(options, name, inspect.Parameter.empty)
        flag = default is False
        shown = options.shown_default(name) if option.shown is None else option.shown
        only_some: dict[str, Any] = {}  # an argument that is None is not the same as none
        if option.names:
            only_some["name"] = option.names
        if option.group:
            only_some["group"] = groups[option.group]
        if get_origin(kind) is list:
            only_some["consume_multiple"] = not option.repeated
        if flag or get_origin(kind) is list:
            only_some["negative"] = ""
        parameter = Parameter(
            help=option.help,
            show_default=False if flag or shown is None else shown,
            allow_leading_hyphen=option.leading_hyphen,
            **only_some,
        )
        by_place = name in options.POSITIONAL
        required = default is inspect.Parameter.empty and not by_place
        yield inspect.Parameter(
            name,
            inspect.Parameter.POSITIONAL_ONLY if by_place else inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if required else None,
            annotation=Annotated[kind if required else kind | None, parameter],
        )


def _without_none(hint: Any) -> Any:
    """Return the first type of a union, as which command-line words are parsed."""
    return get_args(hint)[0] if get_origin(hint) in (Union, UnionType) else hint


def _convert(kind: Any, tokens: Sequence[Token]) -> Any:
    """Convert the words of an option; numbers by the one door for numbers from text."""
    if kind not in (int, float) or len(tokens) != 1:
        return convert(kind, tokens)
    place = tokens[0].keyword or "the argument"
    parse = parse_int if kind is int else parse_float
    return parse(tokens[0].value, place=place, error=UserError)


def run_app(program: str, app: App, arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code, which the console script exits with.

    Parameters
    ----------
    program : str
        Its name, with which messages begin.
    app : App
        The application to run.
    arguments : sequence of str, optional
        Default: those of this process.

    Returns
    -------
    code : int
        0 on success, or the return value of the command; 2 for invalid input or usage, reported in
        one line on standard error, or if disk or memory is insufficient; 130, 143 and 129 after an
        interruption by Ctrl-C, SIGTERM and SIGHUP.
    """
    _prepare_streams()
    # called as a function, a command begins with the call
    began = command_of_process() if arguments is None else nullcontext()
    told: list[bool] = []

    def tell(begins: bool) -> None:
        if begins and not told:
            print(f"{program}: {COMPILING}", file=sys.stderr)
            told.append(True)

    try:
        absolute_path(Path())  # libraries fail in a directory that is gone
        with signals_interrupt(), began, compilation_told(tell):
            result: Any = app(
                None if arguments is None else list(arguments),
                exit_on_error=False,
                print_error=False,
                result_action="return_value",
            )
        sys.stdout.flush()
    except CycloptsError as error:
        error.verbose = False
        return _fail(program, without_far_hints(" ".join(str(error).split())))
    except UserError as error:
        return _fail(program, str(error))
    except KeyboardInterrupt as stop:
        return _interrupted(program, stop)
    except BrokenPipeError:
        # The reader of our output, such as `head`, has had enough; Python would complain again
        # when it flushes at exit (https://docs.python.org/3/library/signal.html#note-on-sigpipe).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:  # a full disk, a directory without permission
        cause = error.__context__
        if isinstance(cause, Terminated):  # the terminal was closed: the last words had no reader
            return _interrupted(program, cause)
        named = isinstance(error.filename, str | bytes) and error.filename
        _drop_output()
        place = f"{os.fsdecode(error.filename)}: " if named else ""
        return _fail(program, f"{place}{error.strerror or error}")
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not _OUT_OF_MEMORY.search(str(error)):
            raise
        return _fail(program, _out_of_memory(str(error)))
    return result if isinstance(result, int) else 0


def _prepare_streams() -> None:
    """Make standard streams that take every name and every text, where they are closed or narrow.

    Results are UTF-8 whatever the locale; names of files that are not come out as they went in.
    A closed descriptor is opened on ``/dev/null``, so that no file of the run gets its number.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this one
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")


def _drop_output() -> None:
    """Let go of results that a full disk does not take: Python would try again at exit."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _out_of_memory(text: str) -> str:
    reason = f" ({' '.join(text.split())[:200]})" if text else ""
    return (
        f"not enough memory{reason}; use a smaller input or smaller settings, or a larger machine"
    )


def _interrupted(program: str, stop: KeyboardInterrupt) -> int:
    how = "".join(f"; to go on: {note}" for note in getattr(stop, "__notes__", ()))
    say(f"{program}: interrupted{how}")
    return 128 + stop.number if isinstance(stop, Terminated) else 130


def _fail(program: str, message: str) -> int:
    say(f"{program}: error: {one_line(message)}")
    return 2
