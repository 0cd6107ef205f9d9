"""How good is the music: features and their distributions, structure, copying, judge, promises.

Everything here reads ``partimento.music.Score`` objects and needs numpy alone; only ``plots``
needs matplotlib. Start at ``report.compare``.
"""

__all__: list[str] = []
