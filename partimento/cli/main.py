"""The program ``partimento``: its verbs, and one place where every error becomes one line.

A verb is imported only when it is called, so that ``partimento --help`` needs no numpy.
"""

from __future__ import annotations

import difflib
import errno
import os
import sys
import time
import warnings
from collections.abc import Sequence
from typing import Any, get_args

from cyclopts import App, CycloptsError, Parameter, Token, convert

from partimento import __version__
from partimento.cli.stopping import stop_on_signals
from partimento.errors import PartimentoError
from partimento.messages import shown

__all__ = ["EXIT_INTERRUPTED", "STARTED", "main", "make_app"]

STARTED = time.perf_counter()  # as early as possible, for the time to the first note
EXIT_ERROR, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
DEBUG_VARIABLE = "PARTIMENTO_DEBUG"
_LONGEST = 400  # letters of a message that is shown
_CANNOT_PRINT = (errno.ENOSPC, errno.EDQUOT, errno.EIO)

# verb -> (module:function, one line, more lines, examples)
VERBS: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "generate": (
        "make:generate",
        "Generate a piece of music.",
        "Without -o it writes partimento-SEED.mid and partimento-SEED.wav in the current folder.",
        (
            "partimento generate",
            "partimento generate --bars 16 --key 'A minor' --seed 7 -o first.wav -o first.mid",
            "partimento generate --chords 'Am F C G' --bars 8 --num-samples 4 -o song.mid",
            "partimento generate --model musika-chorales --seconds 60 -o choir.wav",
        ),
    ),
    "continue": (
        "make:continue_",
        "Continue a piece; all its notes are kept.",
        "New bars start at the next bar line, in the tempo and metre in force there.",
        (
            "partimento continue song.mid --bars 8 -o longer.mid",
            "partimento continue choir.wav --model musika-chorales --seconds 20 -o longer.wav",
        ),
    ),
    "accompany": (
        "rewrite:accompany",
        "Add parts to a melody or to any other part.",
        "With --num-samples the alternatives are ranked: OUT-1 is the best.",
        (
            "partimento accompany melody.mid -o hymn.mid",
            "partimento accompany melody.mid --tracks Alto,Bass --num-samples 4 -o duo.mid",
        ),
    ),
    "infill": (
        "rewrite:infill",
        "Regenerate some bars or tracks; nothing else changes.",
        "With --num-samples the alternatives are ranked: OUT-1 is the best.",
        (
            "partimento infill quartet.mid --bars 9:12 --tracks Viola -o other.mid",
            "partimento infill quartet.mid --bars 9:12,20:24 --lock Cello -o other.mid",
        ),
    ),
    "humanize": (
        "humanize:humanize",
        "Give a score the dynamics and timing of a performer.",
        "No note changes its pitch or its order; tempo, metre and lyrics stay.",
        ("partimento humanize song.mid --amount 0.7 --seed 3 -o played.mid",),
    ),
    "stream": (
        "stream:stream",
        "Generate music endlessly, until Ctrl-C.",
        "What was written when it stops is whole. Without -o it plays through the loudspeakers.",
        (
            "partimento stream",
            "partimento stream --seconds 600 -o evening.wav -o evening.mid",
            "partimento stream -o - --raw | aplay -f cd",
        ),
    ),
    "render": (
        "render:render",
        "Turn MIDI, MusicXML or ABC into sound, or into another format.",
        "Without -o it writes PIECE.wav in the current folder.",
        (
            "partimento render song.mid -o song.flac --stems parts",
            "partimento render song.musicxml --soundfont FluidR3_GM -o song.wav",
        ),
    ),
    "play": (
        "hearing:play",
        "Play a file through the loudspeakers.",
        "This needs the extra 'live': pip install 'partimento[live]'.",
        ("partimento play song.mid", "partimento play choir.wav"),
    ),
    "train": (
        "train:train",
        "Train a system on your own music.",
        "This needs the extra 'train': pip install 'partimento[train]'.",
        (
            "partimento train music_transformer my-music -o my-model --minutes 30",
            "partimento train --resume -o my-model",
        ),
    ),
    "evaluate": (
        "evaluate:evaluate",
        "Compare generated music with real music.",
        "",
        ("partimento evaluate made --reference real --training my-music",),
    ),
    "corpora": (
        "corpora:corpora",
        "List the known corpora, or check data before training.",
        "",
        ("partimento corpora", "partimento corpora check my-music"),
    ),
    "models": ("catalog:models", "List the installed models.", "", ("partimento models",)),
    "describe": (
        "catalog:describe",
        "Show what a system or a model is, with all its controls.",
        "",
        ("partimento describe music-transformer-chorales", "partimento describe getmusic"),
    ),
    "replay": (
        "replay:replay",
        "Make a generated file again, byte for byte.",
        "Without -o it writes FILE-replay with the same ending in the current folder.",
        ("partimento replay first.wav", "partimento replay first.wav -o first.mid"),
    ),
    "export": (
        "catalog:export",
        "Copy a model, or export one from a training run.",
        "",
        ("partimento export my-run -o my-model --precision int8",),
    ),
    "studio": (
        "serve:studio",
        "Open the studio in the browser.",
        "This needs the extra 'studio': pip install 'partimento[studio]'.",
        ("partimento studio", "partimento studio --port 9000 --no-browser"),
    ),
    "serve": (
        "serve:serve",
        "Serve HTTP and WebSocket to other programs.",
        "This needs the extra 'studio': pip install 'partimento[studio]'.",
        ("partimento serve", "partimento serve --host 0.0.0.0 --token SECRET"),
    ),
    "projects": (
        "projects:projects",
        "Write the projects of the studio as files.",
        "",
        ("partimento projects export my-projects",),
    ),
    "doctor": (
        "doctor:doctor",
        "Show what this machine can do.",
        "",
        ("partimento doctor", "partimento doctor --json"),
    ),
}


def make_app() -> App:
    """Return the program: one command for each verb, none of them imported yet."""
    app = App(
        name="partimento",
        help="Generate, continue, edit and play music on your own computer.",
        version=__version__,
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(negative=(), converter=_exactly),
        help_epilogue="partimento VERB --help shows the options of a verb, with examples.",
    )
    for verb, (target, text, more, examples) in VERBS.items():
        shown_examples = "\n".join(f"  {example}" for example in examples)
        epilogue = "\n\n".join(part for part in (more, f"Examples:\n{shown_examples}") if part)
        app.command(f"partimento.cli.{target}", name=verb, help=text, help_epilogue=epilogue)
    return app


def _exactly(kind: Any, tokens: Sequence[Token]) -> Any:
    """Return the value of an option; a fraction is no integer, and is not rounded to one."""
    if kind is int or int in get_args(kind):
        for token in tokens:
            if "." in token.value:
                raise ValueError(f"{shown(token.value, plain=True)} is not a whole number")
    return convert(kind, tokens)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code; every error is one line on stderr."""
    warnings.showwarning = _show_warning
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    if tokens and tokens[0] not in VERBS and not tokens[0].startswith("-"):
        close = difflib.get_close_matches(tokens[0], VERBS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"the verbs are {', '.join(VERBS)}"
        _say(f"no verb is called {shown(tokens[0])}; {hint}")
        return EXIT_USAGE
    with stop_on_signals():  # the training loop has handlers of its own, which save first
        code = _run(tokens)
    return _flushed(code)


def _run(tokens: list[str]) -> int:
    try:
        result = make_app()(
            tokens, exit_on_error=False, print_error=False, result_action="return_value"
        )
        return result if isinstance(result, int) else 0
    except CycloptsError as error:
        _say(f"{_one_line(error)} (see partimento --help)")
        return EXIT_USAGE
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        return EXIT_ERROR
    except PartimentoError as error:
        _say(_one_line(error))
        return _fail(error)
    except Exception as error:
        # A verb that cannot be imported is explained by the error of its import.
        met = error.__cause__ if isinstance(error, ImportError) and error.__cause__ else error
        if isinstance(met, KeyboardInterrupt):
            return _interrupted()
        if isinstance(met, OSError) and met.filename is None and met.errno in _CANNOT_PRINT:
            _close_stdout()
            _say(f"standard output cannot be written: {str(met.strerror).lower()}")
            return EXIT_ERROR
        _say(f"{type(met).__name__}: {_one_line(met)}; set {DEBUG_VARIABLE}=1 to see where")
        return _fail(error)


def _flushed(code: int) -> int:
    """Write what is left for stdout, and return the exit code."""
    try:
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the program that reads it has ended
        pass
    except OSError as error:
        _say(f"standard output cannot be written: {(error.strerror or str(error)).lower()}")
    _close_stdout()
    return EXIT_ERROR


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
    return shown(error, _LONGEST, plain=True) or "no further details"


def _show_warning(message: Warning | str, *_where: object, **_more: object) -> None:
    print(f"partimento: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _close_stdout() -> None:
    """Point stdout at nothing, since Python flushes it once more at exit."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
