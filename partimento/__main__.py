"""``python -m partimento`` is the program ``partimento``."""

import sys

from partimento.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
