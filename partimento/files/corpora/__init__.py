"""Collections of pieces: folders, zips, and data sets by name."""
