"""What the routes do: pieces by id, verbs as jobs. No HTTP here."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from partimento import api
from partimento.api import Instrument, Result, Task
from partimento.errors import ConfigError, MusicError, NotSupported
from partimento.music import Audio, Piece, Score
from partimento.server.documents import ScoreDocument, document_of, score_of
from partimento.server.engine import Engine, check_installed
from partimento.server.jobs import Job, Jobs
from partimento.server.schemas import (
    AccompanyRequest,
    ContinueRequest,
    GenerateRequest,
    HumanizeRequest,
    InfillRequest,
    InterpolateRequest,
    OptionsBody,
    PieceAnswer,
)
from partimento.server.settings import Settings
from partimento.server.store import Store

__all__ = ["Kept", "Service", "given_to"]


@dataclass(frozen=True)
class Kept:
    """A piece that clients may ask for, and what is known of it."""

    id: str
    piece: Piece
    summary: str
    seed: int | None = None
    model: str | None = None


class Service:
    """Everything behind the routes, shared by all clients."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.jobs = Jobs(settings.workers, settings.queue)
        self.engine = Engine(settings.idle_seconds)
        self.store = Store(settings.projects)
        self.turns = threading.Semaphore(settings.workers)  # of the streams, a bar each
        self.playing: set[Any] = set()  # the streams
        self._pieces: OrderedDict[str, Kept] = OrderedDict()
        self._lock = threading.Lock()

    def tidy(self) -> None:
        """Unload models that nobody uses, and forget projects deleted long ago."""
        self.engine.unload_idle()
        self.store.purge()

    def close(self) -> None:
        """End the jobs, then close the database."""
        self.jobs.close()
        self.store.close()

    # Pieces.

    def keep(self, piece: Piece, summary: str, **known: Any) -> Kept:
        """Remember a piece; its id is a hash of what it holds, so the same piece is kept once."""
        if isinstance(piece, Score):
            data = document_of(piece).model_dump_json().encode()
        else:
            data = piece.samples.tobytes()
        kept = Kept(hashlib.sha256(data).hexdigest()[:24], piece, summary, **known)
        with self._lock:
            self._pieces[kept.id] = kept
            self._pieces.move_to_end(kept.id)
            while len(self._pieces) > self.settings.kept_pieces:
                self._pieces.popitem(last=False)
        return kept

    def find(self, piece_id: str) -> Kept | None:
        """Return a piece by its id; None where it is unknown or long forgotten."""
        with self._lock:
            return self._pieces.get(piece_id)

    def piece_of(self, piece_id: str | None, document: ScoreDocument | None) -> Piece:
        """Return the piece that a request is about.

        Raises:
            MusicError: if it names none, or one that is not here.
        """
        if document is not None:
            return score_of(document)
        kept = None if piece_id is None else self.find(piece_id)
        if kept is None:
            raise MusicError("send a document, or the id of a piece that the server still has")
        return kept.piece

    @staticmethod
    def answer(kept: Kept) -> PieceAnswer:
        """Return a piece as clients see it."""
        is_score = isinstance(kept.piece, Score)
        document = document_of(kept.piece) if isinstance(kept.piece, Score) else None
        seconds = document.duration_seconds if document else 0.0
        if isinstance(kept.piece, Audio):
            seconds = kept.piece.duration_seconds
        return PieceAnswer(
            id=kept.id,
            kind="score" if is_score else "audio",
            summary=kept.summary,
            seed=kept.seed,
            model=kept.model,
            duration_seconds=seconds,
            document=document,
        )

    # Verbs.

    def generate(self, request: GenerateRequest) -> Job:
        """Start a ``generate``."""

        def work(model: Instrument, seed: int | None, job: Job) -> Result:
            return model.generate(
                seed=seed,
                progress=job.progress,
                **given_to(model, request.options.given(), request.controls),
            )

        return self._sampled(
            "generate", request, request.model or self.default_model(Task.GENERATE), work
        )

    def continue_(self, request: ContinueRequest) -> Job:
        """Start a ``continue``."""
        prompt = self.piece_of(request.piece, request.document)

        def work(model: Instrument, seed: int | None, job: Job) -> Result:
            return model.continue_(
                prompt,
                seed=seed,
                progress=job.progress,
                **given_to(model, request.options.given(), request.controls),
            )

        name = request.model or self.default_model(Task.CONTINUE, prompt)
        return self._sampled("continue", request, name, work)

    def infill(self, request: InfillRequest) -> Job:
        """Start an ``infill``; every alternative is given out when it is ready."""
        prompt = self._score(request.piece, request.document)

        def work(model: Instrument, seed: int | None, job: Job) -> Result:
            return model.infill(
                prompt,
                request.bars,
                request.tracks,
                lock=request.lock,
                seed=seed,
                progress=job.progress,
                **given_to(model, _of_rewriting(request.options.given()), request.controls),
            )

        return self._sampled(
            "infill", request, request.model or self.default_model(Task.INFILL), work
        )

    def accompany(self, request: AccompanyRequest) -> Job:
        """Start an ``accompany``."""
        prompt = self._score(request.piece, request.document)

        def work(model: Instrument, seed: int | None, job: Job) -> Result:
            return model.accompany(
                prompt,
                request.tracks,
                lock=request.lock,
                seed=seed,
                progress=job.progress,
                **given_to(model, _of_rewriting(request.options.given()), request.controls),
            )

        name = request.model or self.default_model(Task.ACCOMPANY)
        return self._sampled("accompany", request, name, work)

    def interpolate(self, request: InterpolateRequest) -> Job:
        """Start an ``interpolate`` between two pieces.

        Raises:
            MusicError: unless there are two.
            NotSupported: if no installed model interpolates.
        """
        ends = [self.piece_of(each, None) for each in request.pieces]
        ends += [score_of(each) for each in request.documents]
        if len(ends) != 2:
            raise MusicError(f"send two pieces or documents to go between, not {len(ends)}")
        name = request.model or self.default_model(Task.INTERPOLATE)

        def work(job: Job) -> None:
            with self.engine.instrument(name) as model:
                result = model.interpolate(
                    ends[0],
                    ends[1],
                    request.steps,
                    seed=request.seed,
                    progress=job.progress,
                    **given_to(model, {}, request.controls),
                )
                job.add(self._kept(result))

        return self.jobs.start("interpolate", work)

    def humanize(self, request: HumanizeRequest) -> Job:
        """Start a ``humanize``."""
        prompt = self._score(request.piece, request.document)
        if request.model is not None:
            check_installed(request.model)

        def work(job: Job) -> None:
            result = api.humanize(
                prompt, model=request.model, amount=request.amount, seed=request.seed
            )
            job.add(self._kept(result))

        return self.jobs.start("humanize", work)

    def _sampled(
        self,
        verb: str,
        request: Any,
        name: str,
        work: Callable[[Instrument, int | None, Job], Result],
    ) -> Job:
        def run(job: Job) -> None:
            with self.engine.instrument(name) as model:
                for number in range(request.num_samples):
                    seed = None if request.seed is None else request.seed + number
                    job.add(self._kept(work(model, seed, job)))

        return self.jobs.start(verb, run)

    def _kept(self, result: Result) -> Kept:
        return self.keep(
            result.piece, result.summary(), seed=result.seed, model=result.recipe.model
        )

    def _score(self, piece_id: str | None, document: ScoreDocument | None) -> Score:
        piece = self.piece_of(piece_id, document)
        if not isinstance(piece, Score):
            raise MusicError("this is sound, not notes; send MIDI, MusicXML or a document")
        return piece

    @staticmethod
    def default_model(task: Task, prompt: Piece | None = None) -> str:
        """Return the model for a task where none is named."""
        return api.default_model(task, prompt)

    @staticmethod
    def promises_broken(score: Score, options: OptionsBody) -> dict[str, str | None]:
        """Return for each promise that was asked None if it is kept, else where it is not."""
        return api.broken_promises(score, **options.given())


def given_to(model: Instrument, options: Mapping[str, Any], controls: Mapping[str, Any]) -> Any:
    """Return options and controls as keyword arguments.

    Raises:
        ConfigError: for a control that the model does not have; names those it has.
    """
    known = model.card.controls.model_fields
    for name in controls:
        if name not in known:
            raise ConfigError(f"controls.{name}", f"unknown; known here: {', '.join(known)}")
    return {**options, **controls}


def _of_rewriting(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that hold for new notes in an old piece.

    Raises:
        NotSupported: for those that do not.
    """
    known = ("key", "chords", "range", "polyphony")
    other = [name for name in options if name not in known]
    if other:
        raise NotSupported(
            f"{', '.join(other)} cannot change in a piece that is kept; ask for {', '.join(known)}"
        )
    return options
