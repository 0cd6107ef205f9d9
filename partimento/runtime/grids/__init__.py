"""Models of grids of cells: requests, filling, likelihood, and the performer over them."""
