"""Data and the task of models of grids."""
