"""What oauthd uses of txredisapi 1.6, which ships no types."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

class RedisError(Exception): ...
class ResponseError(RedisError): ...
class InvalidData(RedisError): ...

class HiredisProtocol(Protocol):
    connected: int
    factory: Any
    transport: Any
    _reader: Any
    def __init__(
        self,
        charset: str | None = ...,
        errors: str = ...,
        replyTimeout: float | None = ...,
        password: str | None = ...,
        dbid: int | None = ...,
        convertNumbers: bool = ...,
        username: str | None = ...,
    ) -> None: ...
    def connectionMade(self) -> Any: ...
    def connectionLost(self, why: Failure = ...) -> None: ...
    def dataReceived(self, data: bytes, unpause: bool = ...) -> None: ...

class PeekableQueue:
    def remove(self, item: HiredisProtocol) -> None: ...

class _PoolSlot:
    protocol: HiredisProtocol | None

class RedisFactory(Factory):
    protocol: Any
    initialDelay: float
    maxDelay: float
    pool: list[Any]
    slots: Sequence[_PoolSlot]
    size: int
    connectionQueue: PeekableQueue
    def __init__(
        self,
        uuid: str | None,
        dbid: int | None,
        poolsize: int,
        isLazy: bool = ...,
        handler: Any = ...,
        charset: str | None = ...,
        password: str | None = ...,
        replyTimeout: float | None = ...,
        convertNumbers: bool = ...,
        username: str | None = ...,
    ) -> None: ...
    def startConnecting(self, endpoint: IStreamClientEndpoint) -> None: ...
    def disconnect(self) -> Deferred[None]: ...
    def buildProtocol(self, addr: IAddress | None) -> HiredisProtocol: ...
    def addConnection(self, conn: HiredisProtocol) -> None: ...
    def delConnection(self, conn: HiredisProtocol) -> None: ...
