"""One worker: a process that serves what its parent hands it, and ends with it.

`python -m oauthd.runtime.worker`, started by the parent alone: descriptor 3 is the control channel, from 4 on come the
listening sockets of all workers, as the parent does not know yet which of them this one will be. It listens to its
parent and to no signal: those that a terminal or a service manager sends to the whole group reach the parent, too,
which knows what has to end when.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run the worker; the status is 0 when it ended as it was told to."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    # All else is imported now: it takes long, and a Ctrl-C meanwhile would leave a trace.
    from oauthd.runtime.working import run

    sys.exit(run())


if __name__ == "__main__":
    main()
