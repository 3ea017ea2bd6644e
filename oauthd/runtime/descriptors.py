"""Open files: every connection needs one, and a server that has none left can neither accept nor reach its store."""

from __future__ import annotations

import resource

BESIDES = 128  # files that are not connections: listeners, the store, logs, threads, the interpreter's own


def make_room(connections: int) -> int:
    """Raise this process's soft limit of open files for so many connections, as far as the hard one lets us.

    :returns: how many connections there is room for now.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + BESIDES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return connections if soft == resource.RLIM_INFINITY else max(0, soft - BESIDES)
