"""Is this server fit to be the store? Asked once, before anything is written.

Refused: a server that may evict records (each is a code that could be spent again or a revocation undone), one that
keeps no append-only file, one that is too old, Redis Cluster, and a user who may not publish. Said and let pass: an
append-only file that is synced when the system pleases, whatever a managed server does not tell, and each danger that
the operator accepts by name; a cluster cannot be accepted, because several keys are read at once. What becomes of the
findings is left to the caller.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from attrs import frozen

from oauthd.stores import naming
from oauthd.stores.connection import CommandRefused, NotPermitted, RedisConnection
from oauthd.stores.durable import Confirming

# GETDEL is the newest command that the store uses. The tests of the store pass on Redis 6.2 and 7.0 and on Valkey 9.
OLDEST = (6, 2)

VERSION, CLUSTER, EVICTION, PERSISTENCE = "version", "cluster", "eviction", "persistence"
"""The names of what is refused."""
ACCEPTABLE = (EVICTION, PERSISTENCE, VERSION)
"""What an operator may accept all the same."""


@frozen
class Findings:
    """What was found.

    :ivar refuse: reasons not to start, one sentence each.
    :ivar warn: what the operator should know.
    :ivar server: the server in a few words, for the log.
    """

    refuse: tuple[str, ...]
    warn: tuple[str, ...]
    server: str


async def check_server(
    connection: RedisConnection,
    allow: Collection[str] = (),
    confirming: Confirming | None = None,
    channel: bytes = naming.CHANNEL,
) -> Findings:
    """Ask a server what it is and how it is set.

    :param allow: names of what the operator accepts; such a reason to refuse becomes a warning.
    :param confirming: how revocations are confirmed; refused where the server cannot do that.
    :param channel: where changes will be told.
    :raises StoreUnavailable: when the server is away.
    """
    facts: dict[str, str] = {}
    silent = []
    for section in ("server", "memory", "persistence"):
        told = _info(await _ask(connection, "INFO", section))
        facts.update(told)
        if not told:
            silent.append(f"INFO {section}")
    for name in ("maxmemory-policy", "appendonly", "appendfsync", "save"):
        told = _pairs(await _ask(connection, "CONFIG", "GET", name))
        facts.update(told)
        if not told:
            silent.append(f"CONFIG GET {name}")
    refused = _refusals(facts)
    if await _ask(connection, "PUBLISH", channel, "") is None:
        # It is found out in the middle of a script, when the change is made and nobody has heard of it.
        refused["PUBLISH"] = "the store's user may not tell others what changes: it needs the channels &oauthd:*"
    warned = _warnings(facts, silent)
    if confirming is not None:
        refused.update(await _unable(connection, confirming, facts))
        warned += await _unlikely(connection, confirming, facts)
    accepted = [text for name, text in refused.items() if name in allow and name in ACCEPTABLE]
    return Findings(
        refuse=tuple(text for text in refused.values() if text not in accepted),
        warn=(*(f"{text} (accepted by store.accept)" for text in accepted), *warned),
        server=_description(facts),
    )


async def _unable(connection: RedisConnection, confirming: Confirming, facts: Mapping[str, str]) -> dict[str, str]:
    """Why revocations could never be confirmed as they must be; an operator cannot accept that."""
    found = {}
    if confirming.replicas and await _ask(connection, "WAIT", "0", "1") is None:
        found["WAIT"] = "the store does not answer WAIT, which store.revocation_wait needs"
    if confirming.fsync and (_appends(facts) is False or await _ask(connection, "WAITAOF", "0", "0", "1") is None):
        found["WAITAOF"] = (
            "the store cannot tell what is on its disk, as store.revocation_fsync needs: that takes WAITAOF "
            "(Valkey, or Redis 7.2) and appendonly yes"
        )
    return found


async def _unlikely(connection: RedisConnection, confirming: Confirming, facts: Mapping[str, str]) -> list[str]:
    """Why revocations may often not be confirmed."""
    found = []
    there = _info(await _ask(connection, "INFO", "replication")).get("connected_slaves", "")
    if there.isdigit() and int(there) < confirming.replicas:
        found.append(
            f"the store has {there} replicas, and store.revocation_wait asks for {confirming.replicas}: until there "
            "are as many, every revocation is answered 503"
        )
    if confirming.fsync and facts.get("appendfsync") != "always" and confirming.timeout <= 1:
        found.append(
            "the store may write to its disk once a second only (appendfsync): with store.revocation_fsync a "
            f"store.revocation_wait_timeout of {confirming.timeout:g} s may be too short"
        )
    return found


async def _ask(connection: RedisConnection, *command: str | bytes) -> object:
    """The reply; None where the command is forbidden or was taken away."""
    try:
        return (await connection.call(command))[0]
    except (NotPermitted, CommandRefused):
        return None


def _info(reply: object) -> dict[str, str]:
    if not isinstance(reply, bytes):
        return {}
    lines = (line.partition(":") for line in reply.decode("utf-8", "replace").splitlines())
    return {name: value for name, colon, value in lines if colon}


def _pairs(reply: object) -> dict[str, str]:
    if not isinstance(reply, list):
        return {}
    words = [word.decode("utf-8", "replace") for word in reply]
    return dict(zip(words[::2], words[1::2], strict=True))


def _policy(facts: Mapping[str, str]) -> str:
    return facts.get("maxmemory-policy") or facts.get("maxmemory_policy", "")


def _appends(facts: Mapping[str, str]) -> bool | None:
    """Is there an append-only file? None where the server does not tell."""
    told = facts.get("appendonly") or facts.get("aof_enabled")
    return None if told is None else told in ("yes", "1")


def _refusals(facts: Mapping[str, str]) -> dict[str, str]:
    found = {}
    version = facts.get("redis_version", "")
    # Valkey tells the version of Redis that it is compatible with.
    if version and _numbers(version) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        found[VERSION] = f"the store is Redis {version}; the oldest that has every command used here is {oldest}"
    if facts.get("redis_mode") == "cluster":
        found[CLUSTER] = "the store is a Redis Cluster, which is not supported; use one primary"
    policy = _policy(facts)
    if policy and policy != "noeviction":
        found[EVICTION] = (
            f"the store has maxmemory-policy {policy}: short of memory, it would drop spent codes and ended sessions' "
            "marks; set it to noeviction"
        )
    if _appends(facts) is False:
        found[PERSISTENCE] = (
            f"the store keeps no append-only file (appendonly no{_snapshots(facts)}): a crash forgets every token, "
            "revocation and user since its last snapshot; set appendonly yes"
        )
    return found


def _snapshots(facts: Mapping[str, str]) -> str:
    """What else the server keeps, as far as it tells."""
    if "save" not in facts:
        return ""
    return f", save {facts['save']}" if facts["save"] else ", and no snapshots: save is empty"


def _warnings(facts: Mapping[str, str], silent: Collection[str]) -> list[str]:
    found = []
    if silent:
        found.append(f"the store does not answer {', '.join(silent)}; what they would have told is not checked")
    if not _policy(facts):
        found.append("whether the store evicts records is unknown; its maxmemory-policy must be noeviction")
    appends = _appends(facts)
    if appends is None:
        found.append("whether the store keeps an append-only file is unknown")
    elif appends and facts.get("appendfsync") == "no":
        found.append("the store leaves it to the system when to write (appendfsync no): a crash forgets many seconds")
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))


def _description(facts: Mapping[str, str]) -> str:
    if "valkey_version" in facts:
        name = f"Valkey {facts['valkey_version']}"
    else:
        name = f"Redis {facts['redis_version']}" if "redis_version" in facts else "a server of unknown version"
    appends = _appends(facts)
    kept = "persistence unknown" if appends is None else "append-only file" if appends else "no append-only file"
    synced = f" (fsync {facts['appendfsync']})" if appends and "appendfsync" in facts else ""
    return f"{name}, {_policy(facts) or 'eviction unknown'}, {kept}{synced}"
