"""How good is the music: features and their distributions, structure, copying, judge, promises.

Everything here needs numpy alone (``plots`` needs matplotlib) and reads ``partimento.music.Score``
objects, start at ``report.compare``; but for the ``audio_*`` modules, which read samples.
"""

__all__: list[str] = []
