"""The studio: a page of plain ES modules that speaks to the server alone."""

from pathlib import Path

__all__ = ["PAGE"]

PAGE = Path(__file__).parent / "page"
