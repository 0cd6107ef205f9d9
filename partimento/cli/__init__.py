"""The program ``partimento``: one file a verb or two, and none of the product's logic."""

__all__: list[str] = []
