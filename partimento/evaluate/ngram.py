"""The counting baseline: an interpolated n-gram model over integer tokens.

Each level of context is smoothed into the next shorter one by interpolated absolute discounting
with the estimates of Chen and Goodman 1999 (three discounts a level); below the shortest stands
the even distribution. Two things make it a fair baseline for music on a grid:

- ``offsets``: which tokens before the next are looked at, the most telling first. (1, 2, 3) is
  the usual 4-gram; (4, 1, 8, 2) looks at the same of four voices one step ago first.
- ``periods``: the place of the token modulo these counts (voice, beat) is part of every context,
  the first of them being the last to be given up.
"""
