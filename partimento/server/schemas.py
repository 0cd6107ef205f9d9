"""What clients send and get, beside the documents themselves."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from partimento.server.documents import ScoreDocument

__all__ = [
    "AccompanyRequest",
    "ContinueRequest",
    "EvaluateRequest",
    "GenerateRequest",
    "Health",
    "HumanizeRequest",
    "InfillRequest",
    "InterpolateRequest",
    "JobAnswer",
    "ModelAnswer",
    "OptionsBody",
    "PieceAnswer",
    "Problem",
    "ProjectAnswer",
    "ProjectChange",
    "ProjectRequest",
    "RenderRequest",
    "StreamRequest",
    "VersionAnswer",
    "VersionChange",
    "VersionRequest",
]

_MOST_SAMPLES = 16


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OptionsBody(_Body):
    """What the music keeps; the same words as the options of the program."""

    bars: int | None = Field(None, ge=1, le=4096)
    seconds: float | None = Field(None, gt=0, le=3600)
    tempo: float | None = Field(None, ge=4, le=4000, description="quarter notes a minute")
    key: str | None = Field(None, max_length=40, description="C, A minor, F#m")
    time_signature: str | None = Field(None, max_length=10, description="3/4")
    chords: str | None = Field(None, max_length=4000, description="one a bar: Am F C G")
    range: list[str] | None = Field(None, max_length=64, description="C3-C5, Soprano=C4-A5")
    polyphony: int | None = Field(None, ge=1, le=128)
    max_silence: float | None = Field(None, ge=0, le=4096, description="quarter notes")
    ending: str | None = Field(
        None, max_length=20, description="authentic, plagal, half, open, fade"
    )
    humanize: float | None = Field(
        None, ge=0, le=1, description="dynamics and timing of a new piece; 0: as written"
    )

    def given(self) -> dict[str, Any]:
        """Return what was asked for, as keyword arguments of an instrument."""
        values = self.model_dump(exclude_none=True)
        if "range" in values:
            values["range"] = tuple(values["range"])
        return values


class _Made(_Body):
    model: str | None = Field(None, max_length=200, description="a name of /v1/models")
    options: OptionsBody = OptionsBody()
    controls: dict[str, bool | int | float | str] = Field(
        default_factory=dict, max_length=64, description="the model's own, by its schema"
    )
    seed: int | None = Field(None, ge=0, le=2**53 - 1)
    num_samples: int = Field(1, ge=1, le=_MOST_SAMPLES)


class _From(_Made):
    piece: str | None = Field(None, max_length=64, description="the id of a piece")
    document: ScoreDocument | None = Field(None, description="or the notes themselves")


class GenerateRequest(_Made):
    """Music from nothing but options."""


class StreamRequest(_Made):
    """Music without an end; the first message of a stream, with the type ``start``."""

    ahead_seconds: float = Field(
        4.0, ge=0.5, le=600, description="how far the stream may run ahead of its own clock"
    )


class ContinueRequest(_From):
    """New bars after a piece."""


class InfillRequest(_From):
    """Bars of tracks written again; all other notes stay."""

    bars: str | None = Field(None, max_length=400, description="9:12,20:24; all if left out")
    tracks: list[str] | None = Field(None, max_length=64)
    lock: list[str] = Field(default_factory=list, max_length=1000)


class AccompanyRequest(_From):
    """Parts added to a piece."""

    tracks: list[str] | None = Field(None, max_length=64)
    lock: list[str] = Field(default_factory=list, max_length=1000)


class InterpolateRequest(_Body):
    """Steps from one piece to another."""

    pieces: list[str] = Field(default_factory=list, max_length=2, description="ids of pieces")
    documents: list[ScoreDocument] = Field(
        default_factory=list, max_length=2, description="or the notes themselves"
    )
    steps: int = Field(8, ge=2, le=64, description="how many pieces, both ends among them")
    model: str | None = Field(None, max_length=200, description="a name of /v1/models")
    controls: dict[str, bool | int | float | str] = Field(default_factory=dict, max_length=64)
    seed: int | None = Field(None, ge=0, le=2**53 - 1)


class HumanizeRequest(_Body):
    """A score with the dynamics and the timing of a player."""

    piece: str | None = Field(None, max_length=64, description="the id of a piece")
    document: ScoreDocument | None = Field(None, description="or the notes themselves")
    model: str | None = Field(None, max_length=200, description="a name of /v1/models")
    seed: int | None = Field(None, ge=0, le=2**53 - 1)
    amount: float = Field(1.0, ge=0, le=1)


class RenderRequest(_Body):
    """A piece in another format; the bytes are the answer."""

    piece: str | None = Field(None, max_length=64)
    document: ScoreDocument | None = None
    format: str = Field("wav", max_length=10)


class EvaluateRequest(_Body):
    """Whether a piece keeps promises."""

    piece: str | None = Field(None, max_length=64)
    document: ScoreDocument | None = None
    options: OptionsBody = OptionsBody()


class Problem(BaseModel):
    """What went wrong: the name of the error, and one line that says what to do."""

    error: str
    message: str


class PieceAnswer(BaseModel):
    """A piece: where its formats are, and its notes."""

    id: str
    kind: Literal["score", "audio"]
    summary: str
    seed: int | None = None
    model: str | None = None
    duration_seconds: float
    document: ScoreDocument | None = None


class JobAnswer(BaseModel):
    """How far a job is. ``results`` grow while it runs; the best comes first once it is done."""

    id: str
    verb: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    done: int
    total: int
    seconds: float
    results: list[PieceAnswer]
    problem: Problem | None = None


class Health(BaseModel):
    """That the server runs, and with what."""

    status: Literal["ok"] = "ok"
    version: str
    models: int
    loaded: list[str]
    upload_bytes: int


class ModelAnswer(BaseModel):
    """A model: what it does, and its controls as JSON Schema."""

    name: str
    system: str
    makes: Literal["score", "audio"]
    tasks: list[str]
    summary: str
    is_default: bool
    licence: str
    controls: dict[str, Any]
    defaults: dict[str, Any]
    card: str = ""


class ProjectRequest(_Body):
    """A new project."""

    name: str = Field(min_length=1, max_length=200)


class ProjectChange(_Body):
    """What changes of a project; ``head`` is a version that is shown from now on."""

    name: str | None = Field(None, min_length=1, max_length=200)
    head: str | None = Field(None, max_length=64)
    is_deleted: bool | None = None


class VersionRequest(_Body):
    """A new version of a project's document."""

    document: ScoreDocument
    parent: str | None = Field(None, max_length=64)
    label: str = Field("edit", max_length=200)


class VersionChange(_Body):
    """What changes of a version."""

    is_favourite: bool


class VersionAnswer(BaseModel):
    """A version, its document left out."""

    id: str
    parent: str | None
    label: str
    is_favourite: bool
    created: float


class ProjectAnswer(BaseModel):
    """A project and the tree of its versions."""

    id: str
    name: str
    head: str | None
    created: float
    versions: list[VersionAnswer]
