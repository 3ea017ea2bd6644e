"""Writes what is generated from the declarations into the source tree: `python -m oauthd.config .`."""

import sys
from pathlib import Path

from oauthd.config.writing import generated


def write(root: Path) -> None:
    """Write the sample file and the reference page below the root of the source tree."""
    for path, text in generated().items():
        (root / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
