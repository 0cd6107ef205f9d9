"""What an instrument hands back: a piece, how it was made, and its sound when asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from partimento import files, sound
from partimento.music import Audio, Score, Timeline
from partimento.outputs import check_output, check_source
from partimento.recipe import Recipe
from partimento.runtime.contract import Task

__all__ = ["Result"]


@dataclass(frozen=True, eq=False)
class Result:
    """A piece that was made: the score, how it was made, and its sound when asked for."""

    score: Score
    recipe: Recipe
    seconds_taken: float = 0.0
    pieces: tuple[Score, ...] = ()  # as they were streamed, where sound is to be streamed again

    @property
    def seed(self) -> int:
        """The seed that makes it again."""
        return self.recipe.seed

    @cached_property
    def audio(self) -> Audio:
        """The sound, stereo at 44.1 kHz; rendered when first asked for."""
        soundfont = self.recipe.soundfont or None
        heard = sound.render(self.score, soundfont=soundfont)
        return replace(heard, recipe=self.recipe.to_json())

    @property
    def duration_seconds(self) -> float:
        """How long the written music lasts, its last notes' decay left out."""
        return float(Timeline(self.score).seconds(self.score.length_ticks))

    @property
    def bar_count(self) -> int:
        """How many bars there are, a prompt's bars among them."""
        return len(Timeline(self.score).bars)

    def summary(self) -> str:
        """Return in one line what was made, with what, and how fast."""
        if self.recipe.rewrite is not None:
            return self._rewriting()
        keys = self.score.key_signatures
        in_key = f" in {keys[-1].key}" if keys else ""
        speed = self.duration_seconds / self.seconds_taken if self.seconds_taken > 0 else 0.0
        bars = "1 bar" if self.bar_count == 1 else f"{self.bar_count} bars"
        return (
            f"Made {bars}{in_key} ({self.duration_seconds:.1f} s of music) with "
            f"{self.recipe.model}, seed {self.seed}, composed in {self.seconds_taken:.1f} s "
            f"({speed:.0f}x real time)"
        )

    def _rewriting(self) -> str:
        asked = self.recipe.rewrite
        assert asked is not None
        tracks = ", ".join(asked.tracks or ())
        if self.recipe.task is Task.ACCOMPANY:
            what = f"Added {tracks or 'parts'} to {self.bar_count} bars"
        else:
            bars = f"bars {asked.bars}" if asked.bars else f"all {self.bar_count} bars"
            what = f"Wrote {bars} of {tracks or 'all tracks'} anew"
        return (
            f"{what} with {self.recipe.model}, seed {self.seed}, composed in "
            f"{self.seconds_taken:.1f} s"
        )

    def with_soundfont(self, soundfont: str | Path) -> Result:
        """Return the same piece, to be heard through a SoundFont file."""
        return Result(
            self.score,
            self.recipe.model_copy(update={"soundfont": str(soundfont)}),
            self.seconds_taken,
        )

    def save(self, path: str | Path) -> Path:
        """Write the piece in the format that the name's ending says, and return the path.

        Endings: .mid .wav .flac .ogg .mp3 .musicxml .mxl .xml .png (a piano roll).

        Raises:
            FileError: if the ending is unknown, the place cannot be written, or it is the prompt's.
        """
        target = Path(path)
        check_output(target)
        if self.recipe.prompt is not None and self.recipe.prompt.path:
            check_source(target, self.recipe.prompt.path)
        is_sound = target.suffix.lower() in files.AUDIO_SUFFIXES
        files.write(self.audio if is_sound else self.score, target)
        return target
