"""Benchmarks: oauthd beside an nginx and a Klein application that answer with a constant, in one run on one core.

    python -m tests.bench [--rows hit,miss] [--seconds 5] [--rounds 3] [--peer] [--list] [--write]

Needs wrk, nginx and two cores. Prints a table; with --write it goes into etc/docs/benchmarks.md, too. Everything that
is started ends with the command, however it ends.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench import machine, table
from tests.bench.comparing import Bench
from tests.bench.processes import Children, Cores, cores
from tests.bench.results import Result
from tests.bench.rows import PEER, ROWS, Row
from tests.bench.stage import SOURCE, Stage

PAGE = SOURCE / "etc" / "docs" / "benchmarks.md"
PROGRAMS = ("wrk", "nginx")


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Benchmarks of oauthd.")
    parser.add_argument("--rows", default="", help="names of rows, separated by commas; all when left out")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long a server is driven in each round")
    parser.add_argument("--rounds", type=int, default=3, help="how often")
    parser.add_argument("--peer", action="store_true", help="drive node-oidc-provider, too (npm installs it)")
    parser.add_argument("--list", action="store_true", help="list the rows and run none")
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.name}")
    return parser.parse_args(words)


def chosen(names: str, peer: bool = False) -> list[Row]:
    """The rows of these names, in the order of the table; with none all but the peer's.

    :raises SystemExit: for a name that there is not.
    """
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    if unknown := wanted - {row.name for row in ROWS}:
        raise SystemExit(f"no such rows: {', '.join(sorted(unknown))}")
    return [row for row in ROWS if row.name in wanted or (row is PEER and peer) or (row is not PEER and not wanted)]


def measure(rows: Sequence[Row], where: Cores, seconds: float, rounds: int) -> list[Result]:
    """Run rows; the results so far where something fails or somebody interrupts."""
    found: list[Result] = []
    os.sched_setaffinity(0, {where.load})
    folder = Path(tempfile.mkdtemp(prefix="oauthd-bench-"))
    try:
        with Children(folder) as children:
            stage = Stage(children, where, folder)
            stage.set_up()
            bench = Bench(stage, seconds, rounds)
            for row in rows:
                print(f"{row.name}: {row.what}; goal: {row.goal}", file=sys.stderr, flush=True)
                found.extend(row.run(bench))
    except (KeyboardInterrupt, RuntimeError) as error:
        print(f"ended early: {error or 'interrupted'}", file=sys.stderr)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def main() -> None:
    """Measure, print, write."""
    asked = arguments()
    rows = chosen(asked.rows, asked.peer)
    if asked.list:
        for row in ROWS:
            print(f"{row.name:20} {row.what}; goal: {row.goal}")
        return
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        raise SystemExit(f"not found: {', '.join(missing)}")
    where = cores()
    found = measure(rows, where, asked.seconds, max(asked.rounds, 1))
    if not found:
        raise SystemExit("nothing was measured")
    text = table.written(found, machine.about(where))
    print(text)
    if asked.write:
        PAGE.write_text(table.merged(PAGE.read_text(), text))


if __name__ == "__main__":
    main()
