"""What an instrument returns: a piece, how it was made, and its sound when asked for."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from partimento import files, sound
from partimento.errors import NotSupported
from partimento.files.unsupported import LeftOut
from partimento.music import Audio, Piece, Score, Timeline
from partimento.music.regions import track_indices
from partimento.playback.destinations import check_output, check_source
from partimento.playback.sinks import save_sound
from partimento.recipe import Recipe
from partimento.runtime.codes import Codes
from partimento.runtime.contract import Task

__all__ = ["Result", "sound_summary"]


@dataclass(frozen=True, eq=False)
class Result:
    """A piece that was made, notes or sound, with its recipe.

    ``repr`` is two lines: what it is, and what can be done with it.
    """

    piece: Piece
    recipe: Recipe
    seconds_taken: float = 0.0
    # As they were streamed, where sound is to be streamed again; the steps of an interpolation.
    pieces: tuple[Score, ...] = ()
    prompt_seconds: float = 0.0  # length of the sound that was continued
    codes: Codes | None = None  # the system's own, where it returns them
    source: files.Source | None = None  # the file that was edited or continued
    notated: Score | None = None  # the notes on their grid, for notation; None: as they are

    def __repr__(self) -> str:
        if isinstance(self.piece, Audio):
            what, use = f"{self.duration_seconds:.1f} s of sound", ".audio"
        else:
            tracks, notes = len(self.piece.tracks), len(self.piece.notes)
            what = (
                f"{_counted(self.bar_count, 'bar')} ({self.duration_seconds:.1f} s), "
                f"{_counted(tracks, 'track')}, {_counted(notes, 'note')}"
            )
            use = ".score, .audio"
        return (
            f"<Result: {what}, by {self.recipe.model}, seed {self.seed}\n"
            f" {use}, .summary(), .save(path)>"
        )

    @property
    def score(self) -> Score:
        """The notes.

        Raises:
            NotSupported: if it is sound, which has none.
        """
        if isinstance(self.piece, Score):
            return self.piece
        raise NotSupported(f"{self.recipe.model} makes sound, not notes; use .audio")

    @property
    def seed(self) -> int:
        """The seed that makes it again."""
        return self.recipe.seed

    @cached_property
    def audio(self) -> Audio:
        """The sound, stereo at 44.1 kHz; that of notes is rendered when first asked for."""
        if isinstance(self.piece, Audio):
            return self.piece
        soundfont = self.recipe.soundfont or None
        heard = sound.render(self.score, soundfont=soundfont)
        return replace(heard, recipe=self.recipe.to_json())

    @property
    def duration_seconds(self) -> float:
        """How long the written music lasts, without the decay of its last notes."""
        if isinstance(self.piece, Audio):
            return self.piece.duration_seconds
        return float(Timeline(self.score).seconds(self.score.length_ticks))

    @property
    def bar_count(self) -> int:
        """How many bars there are, including those of a prompt; 0 for sound."""
        if isinstance(self.piece, Audio):
            return 0
        return len(Timeline(self.score).bars)

    def summary(self) -> str:
        """Return in one line what was made, by which model, and how fast."""
        if self.recipe.rewrite is not None:
            return self._rewriting()
        if isinstance(self.piece, Audio):
            made = self.duration_seconds - self.prompt_seconds
            return sound_summary(self.recipe, made, self.seconds_taken)
        if self.recipe.task is Task.HUMANIZE:
            amount = self.recipe.controls.get("amount", 1.0)
            return (
                f"Humanized {_counted(len(self.score.notes), 'note')} with {self.recipe.model}, "
                f"amount {amount:g}, seed {self.seed}, in {self.seconds_taken:.1f} s"
            )
        keys = self.score.key_signatures
        in_key = f" in {keys[-1].key}" if keys else ""
        in_key += ", open at the end," if self.recipe.promises.get("ending") == "open" else ""
        bars, seconds, verb, of = self.bar_count, self.duration_seconds, "Made", ""
        if self.recipe.task is Task.CONTINUE:
            bars, verb = self.added_bar_count, "Added"
            timeline = Timeline(self.score)
            of = f" to {_counted(self.bar_count - bars, 'bar')}"
            seconds -= float(timeline.seconds(timeline.bars[-bars].onset_ticks)) if bars else 0.0
        speed = seconds / self.seconds_taken if self.seconds_taken > 0 else 0.0
        return (
            f"{verb} {_counted(bars, 'bar')}{of}{in_key} ({seconds:.1f} s of music) with "
            f"{self.recipe.model}, seed {self.seed}, composed in {self.seconds_taken:.1f} s "
            f"({speed:.0f}x real time)"
        )

    @property
    def added_bar_count(self) -> int:
        """How many bars are new: all of a generated piece, or those after a prompt."""
        asked = self.recipe.stopped_after_bars or self.recipe.promises.get("bars")
        return min(self.bar_count, int(asked or self.bar_count))

    def _rewriting(self) -> str:
        asked = self.recipe.rewrite
        assert asked is not None
        there = track_indices(self.score, asked.tracks or ())
        tracks = ", ".join(self.score.tracks[index].name for index in there)
        if self.recipe.task is Task.ACCOMPANY:
            what = f"Added {tracks or 'parts'} to {self.bar_count} bars"
        else:
            word = "bar" if (asked.bars or "").isdigit() else "bars"
            bars = f"{word} {asked.bars}" if asked.bars else f"all {self.bar_count} bars"
            what = f"Regenerated {bars} of {tracks or 'all tracks'}"
        return (
            f"{what} with {self.recipe.model}, seed {self.seed}, composed in "
            f"{self.seconds_taken:.1f} s"
        )

    def with_soundfont(self, soundfont: str | Path) -> Result:
        """Return the same piece, whose sound is played through a soundfont.

        Args:
            soundfont: an .sf2 or .sf3 file, or the name of an installed one.

        Raises:
            NotSupported: if it is sound, which needs none.
            FileError: if there is no such soundfont.
        """
        score = self.score
        font = sound.chosen_soundfont(soundfont)
        recipe = self.recipe.model_copy(update={"soundfont": str(font or "")})
        return replace(self, piece=score, recipe=recipe)

    def save(self, path: str | Path) -> Path:
        """Write the piece in the format of the path's ending, and return the path.

        What was edited or continued is written into the document that was read, where the format
        is the same: nothing in it changes but the notes that were asked for.

        Endings: .mid .wav .flac .ogg .mp3 .musicxml .mxl .xml .png (a piano roll) .svg (a score);
        for sound .wav .flac .ogg .mp3 .png (a spectrogram). An existing file is replaced, whole or
        not at all.

        Raises:
            FileError: if the ending is unknown, the place cannot be written, or it is the prompt's.
        """
        target = Path(path)
        check_output(target, "audio" if isinstance(self.piece, Audio) else "score")
        for record in self.recipe.prompts:
            if record.path:
                check_source(target, record.path)
        if isinstance(self.piece, Audio):
            frames = None if self.recipe.seconds is None else self.piece.samples.shape[1]
            return save_sound([self.piece.samples], self.recipe, target, frames)
        is_sound = target.suffix.lower() in files.AUDIO_SUFFIXES
        if self.source is None or not self._is_patched(target):
            is_notation = target.suffix.lower() in files.NOTATION_SUFFIXES
            score = self.notated if is_notation and self.notated is not None else self.score
            files.write(self.audio if is_sound else score, target)
        return target

    def _is_patched(self, target: Path) -> bool:
        """Write the edit into what was read, where the format can; else say what is lost."""
        source = self.source
        assert source is not None
        try:
            files.patch(source, self.score, target)
        except NotSupported as error:
            if source.left_out is not None:
                warnings.warn(source.left_out, stacklevel=3)
            if target.suffix.lower() == Path(source.path).suffix.lower():
                remark = f"a new file is written, since {error}"
                warnings.warn(LeftOut(source.path, {}, {}, [remark]), stacklevel=3)
            return False
        return True


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def sound_summary(recipe: Recipe, seconds: float, seconds_taken: float) -> str:
    """Return in one line how much sound was made, by which model, and how fast."""
    speed = seconds / seconds_taken if seconds_taken > 0 else 0.0
    if recipe.loop:
        what = f"Made a loop of {seconds:.1f} s"
    else:
        what = f"{'Added' if recipe.task is Task.CONTINUE else 'Made'} {seconds:.1f} s of sound"
    return (
        f"{what} with {recipe.model}, seed {recipe.seed}, in "
        f"{seconds_taken:.1f} s ({speed:.0f}x real time)"
    )
