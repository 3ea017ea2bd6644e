"""Writes what is generated from the table into the source tree: `python -m oauthd.metrics .`."""

import sys
from pathlib import Path

from oauthd.metrics.writing import generated


def write(root: Path) -> None:
    """Write the reference page below the root of the source tree."""
    for path, text in generated().items():
        (root / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
