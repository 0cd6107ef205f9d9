"""The program ``partimento``: its verbs, and one place where every error becomes one line.

A verb is imported only when it is called, so that ``partimento --help`` needs no numpy.
"""

from __future__ import annotations

import difflib
import os
import sys
import time
import warnings
from collections.abc import Sequence
from typing import Any, get_args

from cyclopts import App, CycloptsError, Parameter, Token, convert

from partimento import __version__
from partimento.errors import PartimentoError

__all__ = ["EXIT_INTERRUPTED", "STARTED", "main", "make_app"]

STARTED = time.perf_counter()  # as early as can be, for the time to the first note
EXIT_ERROR, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
DEBUG_VARIABLE = "PARTIMENTO_DEBUG"

VERBS = {
    "generate": ("make:generate", "Make music from nothing but your wishes."),
    "continue": ("make:continue_", "Go on from a piece; all its notes are kept."),
    "accompany": ("rewrite:accompany", "Add parts to a melody or to any other part."),
    "infill": ("rewrite:infill", "Write some bars or tracks anew; nothing else changes."),
    "humanize": ("humanize:humanize", "Make a score sound played by a hand."),
    "stream": ("stream:stream", "Play without an end, until Ctrl-C."),
    "render": ("render:render", "Turn MIDI or MusicXML into sound, or into another format."),
    "train": ("train:train", "Train a system on your own music."),
    "evaluate": ("evaluate:evaluate", "Measure made music against real music."),
    "models": ("catalog:models", "List the models that are here."),
    "describe": ("catalog:describe", "Say all there is to know of a system or a model."),
    "replay": ("replay:replay", "Make a generated file again, byte for byte."),
    "export": ("catalog:export", "Copy a model, or export one from a training run."),
    "studio": ("serve:studio", "Open the studio in the browser."),
    "serve": ("serve:serve", "Serve HTTP and WebSocket to other programs."),
    "projects": ("projects:projects", "Write the projects of the studio as files."),
    "doctor": ("doctor:doctor", "Say what this machine can do."),
}


def make_app() -> App:
    """Return the program: one command a verb, none of them imported yet."""
    app = App(
        name="partimento",
        help="Give it a sketch and it realises music, at once, on the computer you have.",
        version=__version__,
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(negative=(), converter=_exactly),
    )
    for verb, (target, text) in VERBS.items():
        app.command(f"partimento.cli.{target}", name=verb, help=text)
    return app


def _exactly(kind: Any, tokens: Sequence[Token]) -> Any:
    """Return the value of an option; a fraction is no whole number, and is not rounded to one."""
    if kind is int or int in get_args(kind):
        for token in tokens:
            if "." in token.value:
                raise ValueError(f"{token.value} is not a whole number")
    return convert(kind, tokens)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code; every error is one line on stderr."""
    warnings.showwarning = _show_warning
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    if tokens and tokens[0] not in VERBS and not tokens[0].startswith("-"):
        close = difflib.get_close_matches(tokens[0], VERBS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"the verbs are {', '.join(VERBS)}"
        _say(f"no verb is called {tokens[0]!r}; {hint}")
        return EXIT_USAGE
    try:
        result = make_app()(
            tokens, exit_on_error=False, print_error=False, result_action="return_value"
        )
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except CycloptsError as error:
        _say(f"{_one_line(error)} (see partimento --help)")
        return EXIT_USAGE
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        _close_stdout()
        return EXIT_ERROR
    except PartimentoError as error:
        _say(_one_line(error))
        return _fail(error)
    except Exception as error:
        # A verb that cannot be imported is told by what its import met.
        met = error.__cause__ if isinstance(error, ImportError) and error.__cause__ else error
        if isinstance(met, KeyboardInterrupt):
            return _interrupted()
        _say(f"{type(met).__name__}: {_one_line(met)}; set {DEBUG_VARIABLE}=1 to see where")
        return _fail(error)


def _interrupted() -> int:
    print("partimento: stopped; nothing was written", file=sys.stderr)
    return EXIT_INTERRUPTED


def _fail(error: Exception) -> int:
    if os.environ.get(DEBUG_VARIABLE):
        sys.excepthook(type(error), error, error.__traceback__)
    return EXIT_ERROR


def _say(message: str) -> None:
    print(f"partimento: error: {message}", file=sys.stderr)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or "no further word"


def _show_warning(message: Warning | str, *_where: object, **_more: object) -> None:
    print(f"partimento: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _close_stdout() -> None:
    """Point stdout at nothing: the reader has gone, and Python flushes once more at exit."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
