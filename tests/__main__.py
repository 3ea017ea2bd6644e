"""Run every test but the live ones and the benchmarks: `python -m tests`, with trial's own options if wanted."""

import sys
from pathlib import Path

from twisted.scripts.trial import run

APART = ("live", "bench")


def modules() -> list[str]:
    """The names that trial is to load."""
    found = []
    for path in sorted(Path(__file__).parent.iterdir()):
        folder_of_tests = path.is_dir() and (path / "__init__.py").exists() and path.name not in APART
        if folder_of_tests or (path.name.startswith("test_") and path.suffix == ".py"):
            found.append(f"tests.{path.stem}")
    return found


if __name__ == "__main__":
    sys.argv = ["trial", *sys.argv[1:], *modules()]
    run()
