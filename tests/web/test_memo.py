"""What is remembered of header blocks: at second sight, by their exact bytes or by their shape, within bounds."""

from __future__ import annotations

from attrs import define
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol.messages import Response
from oauthd.web import memo as module
from oauthd.web.memo import Facts, Memo, Taught, around, is_asserted, is_clean

BODY = b"token=abc"
FIELDS = (b"Host: a", b"Authorization: Basic abc", b"Content-Type: application/x-www-form-urlencoded")


@define(eq=False)
class Known:
    """A lesson that holds until it is told otherwise."""

    parameter: str = "token"
    held: bool = True

    def holds(self) -> bool:
        """Does it?"""
        return self.held

    def recall(self, value: bytes) -> bytes | None:
        """Nothing."""
        return None

    async def ask(self, value: bytes) -> Response:
        """Nothing of use."""
        return Response(200)


def head(*more: bytes, length: bytes = b"9", first: bytes = b"POST /introspect HTTP/1.1") -> bytes:
    """A header block; `more` comes last."""
    return b"\r\n".join((first, *FIELDS, b"Content-Length: " + length, *more))


def taught(prefix: bytes = b"token=", suffix: bytes = b"", lesson: Known | None = None) -> Taught:
    """What a request taught."""
    return Taught(lesson or Known(), prefix, suffix, None, b"")


class MemoCase(SynchronousTestCase):
    """An empty memo for strangers."""

    def setUp(self) -> None:
        """Make it."""
        self.memo = self.made()

    def made(self, proxy: bool = False) -> Memo:
        """For connections of one sort."""
        return Memo(Facts(secure=False, proxy=proxy), 100, 16384, 65536)

    def learned(self, block: bytes, body: int = len(BODY), memo: Memo | None = None) -> bool:
        """Is this block remembered when it comes for the second time?"""
        memo = self.memo if memo is None else memo
        self.assertFalse(memo.learn(block, body, taught()))
        return memo.learn(block, body, taught())

    def knows(self, block: bytes, memo: Memo | None = None) -> bool:
        """Is it found?"""
        memo = self.memo if memo is None else memo
        found = memo.heads.get(block) or memo.second_chance(block)
        return found is not None and bool(found[0].taught)

    @property
    def bytes(self) -> int:
        """What is kept of what was sent."""
        ways = [way for block in self.memo._shapes.values() for way in block.taught]
        return sum(map(len, (*self.memo.heads, *self.memo._shapes))) + sum(way.shortest for way in ways)


class LearningTests(MemoCase):
    """What is learned, and what never."""

    def test_second_sight(self) -> None:
        """A block is remembered when it comes for the second time, and then found by its bytes."""
        self.assertFalse(self.memo.learn(head(), 9, taught()))
        self.assertFalse(self.knows(head()))
        self.assertTrue(self.memo.learn(head(), 9, taught()))
        self.assertIn(head(), self.memo.heads)
        self.assertEqual((self.memo.blocks, self.memo.heads[head()][1]), (1, 9))

    def test_any_other_byte(self) -> None:
        """A block that differs in one byte of what counts is another one."""
        self.assertTrue(self.learned(head()))
        for position in range(len(head())):
            other = bytearray(head())
            other[position] ^= 1
            found = self.memo.heads.get(bytes(other)) or self.memo.second_chance(bytes(other))
            if found is not None:  # a digit of the length
                self.assertEqual((bytes(other[-1:]), found[1]), (b"8", 8))
        self.assertFalse(self.knows(head(b"X-New: a")))
        self.assertFalse(self.knows(head().replace(b"Host: a\r\n", b"")))
        self.assertFalse(self.knows(head() + b"\r\n"))

    def test_never(self) -> None:
        """Fields that make each request another one, repeats, other methods and versions are never learned."""
        for name in module.NEVER:
            for spelled in (name, name.upper(), name.title()):
                self.assertFalse(self.learned(head(spelled + b": a"), memo=self.made()), spelled)
        for more in (b"host: b", b"X-A: 1\r\nx-a: 1", b"traceparent: 1\r\nTraceparent: 2"):
            self.assertFalse(self.learned(head(more)), more)
        for value in (b"close", b"Keep-Alive, Upgrade", b"", b"keep-alive, close", b"keep-alive close"):
            self.assertFalse(self.learned(head(b"Connection: " + value)), value)
        for first in (b"POST /a HTTP/1.0", b"GET /a HTTP/1.1", b"post /a HTTP/1.1", b"POST /a HTTP/1.1 ", b"POST"):
            self.assertFalse(self.learned(head(first=first)), first)
        self.assertEqual((self.memo.blocks, self.memo.heads), (0, {}))

    def test_a_name_of_their_own(self) -> None:
        """Nor are fields that the settings name: a proxy's for the client's certificate."""
        more = head(b"X-Corp-Certificate: a")
        self.assertTrue(self.learned(more, memo=self.made()))
        memo = self.made()
        memo.never |= {b"x-corp-certificate"}
        self.assertFalse(self.learned(more, memo=memo))

    def test_keep_alive(self) -> None:
        """A connection that says in any case that it stays open may be learned."""
        for value in (b"keep-alive", b" Keep-Alive ", b"KEEP-ALIVE"):
            self.assertTrue(self.learned(head(b"Connection:" + value)), value)

    def test_lengths(self) -> None:
        """Only a plain number that is the length of what came with the head teaches anything."""
        for length in (b"09", b"+9", b"-9", b"9 9", b"9,9", b"", b"9.", b"0x9", b"\xd9", b"9\x00", b"99999999"):
            self.assertFalse(self.learned(head(length=length), 9), length)
        self.assertFalse(self.learned(head(b"Content-Length: 9")))
        self.assertFalse(self.learned(head().replace(b"Content-Length: 9", b"Content-Length : 9")))
        self.assertFalse(self.learned(head(length=b"65537"), 65537))
        self.assertFalse(self.learned(head(length=b"20"), 9), "the body came in two packets")
        self.assertFalse(self.learned(head().replace(b"Content-Length: 9", b"X-Length: 9")))
        self.assertTrue(self.learned(head().replace(b"Content-Length: 9", b"cOnTeNt-lEnGtH:\t9 ")))

    def test_ways(self) -> None:
        """Under one block several bodies are remembered, the newest first; those that hold no more are dropped."""
        self.assertTrue(self.learned(head()))
        old = Known()
        self.memo.learn(head(), 9, taught(b"a=1&token=", lesson=old))
        for number in range(20):
            self.memo.learn(head(), 9, taught(b"n=%d&token=" % number))
        block, _ = self.memo.heads[head()]
        self.assertEqual(len(block.taught), module.MOST_TAUGHT)
        self.assertEqual(block.taught[0].prefix, b"n=19&token=")
        for way in block.taught:
            lesson: Known = way.lesson  # type: ignore[assignment]
            lesson.held = False
        self.memo.learn(head(), 9, taught())
        self.assertEqual([way.prefix for way in block.taught], [b"token="])
        self.memo.learn(head(), 9, taught())
        self.assertEqual(len(block.taught), 1)


class ShapeTests(MemoCase):
    """The second chance."""

    def test_another_length(self) -> None:
        """The same block with another length of the body is known, with that length."""
        self.assertTrue(self.learned(head()))
        found = self.memo.second_chance(head(length=b"1234"))
        assert found is not None
        self.assertEqual((found[1], self.memo.heads[head(length=b"1234")][1]), (1234, 1234))
        for length in (b"01234", b"+1", b"-1", b"65537", b"1 "[:0], b"1\r\nContent-Length: 1"):
            self.assertFalse(self.knows(head(length=length)), length)

    def test_traces(self) -> None:
        """Fields of traces change nothing, wherever they stand and in whatever case."""
        self.assertTrue(self.learned(head()))
        for name in module.VARYING:
            for line in (name + b": a", name.upper() + b":b", name.title() + b": \xff\t~"):
                self.assertTrue(self.knows(head(line)), line)
                self.assertTrue(self.knows(head().replace(b"\r\nHost", b"\r\n" + line + b"\r\nHost")), line)
        self.assertTrue(self.knows(head(b"traceparent: a", b"traceparent: b", length=b"77")))
        for name in (b"x-traceparent", b"traceparent2", b"x_request_id", b"b33", b"ab3"):
            self.assertFalse(self.knows(head(name + b": a")), name)

    def test_learned_with_traces(self) -> None:
        """A block that never comes without them is learned all the same, and known by others."""
        self.assertFalse(self.memo.learn(head(b"traceparent: 1"), 9, taught()))
        self.assertTrue(self.memo.learn(head(b"traceparent: 2"), 9, taught()))
        self.assertTrue(self.knows(head(b"traceparent: 3", b"x-request-id: 4")))
        self.assertTrue(self.knows(head()))
        self.assertEqual(self.memo.blocks, 1)

    def test_nothing_odd_is_left_out(self) -> None:
        """A field that is refused by the ordinary path is not left out: control characters, folds, bare line ends."""
        self.assertTrue(self.learned(head()))
        for line in (
            b"traceparent: a\x00b", b"traceparent: a\nX: b", b"traceparent: a\rb", b"traceparent: \x7f",
            b"traceparent", b"traceparent : a", b" traceparent: a", b"traceparent: a\r\n b", b"traceparent: a\r\n\tb",
            b"traceparent: a\n", b"\ntraceparent: a", b"traceparent: a\r\n", b"trace\x00parent: a",
            b"tracepar\xe9nt: a",
        ):  # fmt: skip
            self.assertFalse(self.knows(head(line)), line)
            self.assertFalse(self.knows(head().replace(b"\r\nHost", b"\r\n" + line + b"\r\nHost")), line)

    def test_forwarded(self) -> None:
        """What proxies say is left out where nobody believes it, and counts from a trusted one."""
        proxied = self.made(proxy=True)
        self.assertTrue(self.learned(head()))
        self.assertTrue(self.learned(head(), memo=proxied))
        for name in module.FORWARDED:
            self.assertTrue(self.knows(head(name.title() + b": 192.0.2.1")), name)
            self.assertFalse(self.knows(head(name.title() + b": 192.0.2.1"), proxied), name)
        self.assertTrue(self.knows(head(b"traceparent: 1"), proxied))
        self.assertTrue(self.learned(head(b"X-Forwarded-For: 192.0.2.1"), memo=proxied))
        self.assertFalse(self.knows(head(b"X-Forwarded-For: 192.0.2.2"), proxied))

    def test_too_much(self) -> None:
        """Heads beyond the limits of the ordinary path are not known, whatever they are made of."""
        self.assertTrue(self.learned(head()))
        self.assertTrue(self.knows(head(*(b"b3: 1",) * 90)))
        self.assertFalse(self.knows(head(*(b"b3: 1",) * 100)))
        self.assertFalse(self.knows(head(b"baggage: " + b"a" * 16384)))


class BoundsTests(MemoCase):
    """Whoever floods it takes no more memory than this, and drives nobody out for long."""

    def test_blocks_that_come_once(self) -> None:
        """Unique blocks leave nothing behind but a bounded set of numbers."""
        self.assertTrue(self.learned(head()))
        before = self.bytes
        for number in range(3 * module.MOST_SEEN):
            self.memo.learn(head(b"X-Unique: %d" % number), 9, taught())
        self.assertLessEqual(len(self.memo._seen), module.MOST_SEEN)
        self.assertEqual({type(one) for one in self.memo._seen}, {int})
        self.assertEqual(self.bytes, before)
        self.assertIn(head(), self.memo.heads)

    def test_many_lengths(self) -> None:
        """One block with ever other lengths takes a bounded place, and stays known."""
        self.assertTrue(self.learned(head()))
        for length in range(3 * module.MOST_HEADS):
            self.assertTrue(self.knows(head(length=b"%d" % length)))
            self.assertLessEqual(len(self.memo.heads), module.MOST_HEADS)
        self.assertTrue(self.knows(head()))
        self.assertEqual(self.memo.blocks, 1)

    def test_many_blocks(self) -> None:
        """A caller with thousands of blocks takes a bounded place, and the newest are always kept."""
        for number in range(3 * module.MOST_BLOCKS):
            block = head(b"X-Mine: %d" % number)
            self.assertTrue(self.learned(block))
            self.assertIs(self.memo.heads[block][0].taught[0], self.memo.second_chance(block)[0].taught[0])  # type: ignore[index]
            self.assertLessEqual(self.memo.blocks, module.MOST_BLOCKS)
        self.assertLessEqual(len(self.memo.heads), module.MOST_HEADS)
        # Of what was driven out nothing is known, though its bytes may still be there.
        self.assertLessEqual(sum(1 for block, _ in self.memo.heads.values() if block.taught), module.MOST_BLOCKS)

    def test_used_ones_stay(self) -> None:
        """A block in use survives others that are not, and one that was driven out comes back at second sight."""
        self.assertTrue(self.learned(head()))
        for number in range(2 * module.MOST_BLOCKS):
            self.assertTrue(self.learned(head(b"X-Mine: %d" % number)))
            self.memo.heads[head()][0].hot = True  # as the lane does
        for number in range(3 * module.MOST_BLOCKS):
            self.assertTrue(self.learned(head(b"X-Other: %d" % number)))
        self.assertFalse(self.knows(head()))
        self.assertTrue(self.learned(head()))

    def test_long_ones(self) -> None:
        """Long heads and long bodies are not remembered at all."""
        self.assertFalse(self.learned(head(b"X-Long: " + b"a" * module.LONGEST)))
        self.assertFalse(self.memo.learn(head(), 9, taught(b"a" * 2000)))
        self.assertFalse(self.memo.learn(head(), 9, taught(b"a" * 2000)))
        self.assertEqual(self.bytes, 0)


class AroundTests(SynchronousTestCase):
    """Where the parameter stands in a form."""

    def test_places(self) -> None:
        """First, last, in between, alone; empty pairs beside it stay what they are."""
        for body, sides in (
            (b"token=abc", (b"token=", b"")),
            (b"token=abc&a=b", (b"token=", b"&a=b")),
            (b"a=b&token=abc", (b"a=b&token=", b"")),
            (b"a=b&token=abc&c=d", (b"a=b&token=", b"&c=d")),
            (b"&&token=abc&", (b"&&token=", b"&")),
            (b"xtoken=1&token=abc", (b"xtoken=1&token=", b"")),
            (b"token_type_hint=a&token=abc", (b"token_type_hint=a&token=", b"")),
            (b"a=token=b&token=abc", (b"a=token=b&token=", b"")),
        ):
            self.assertEqual(around(body, "token"), sides, body)

    def test_not_there(self) -> None:
        """Missing, the end of another name, written with percent signs, empty, or with a value that is not clean."""
        for body in (
            b"", b"a=b", b"xtoken=abc", b"a=b&xtoken=abc", b"a=token=abc", b"%74oken=abc", b"tok%65n=abc", b"TOKEN=abc",
            b"token", b"token=", b"token=&a=b", b"token=a%20b", b"token=a+b", b"token=a=b", b"token=a;b",
            b"a=b;token=c",
            b"token=a\x00", b"token=\xff", b"token=a b", b"token%3dabc", b" token=abc",
        ):  # fmt: skip
            self.assertIsNone(around(body, "token"), body)

    def test_no_parameter(self) -> None:
        """Without a parameter that may differ it is the whole body."""
        self.assertEqual(around(b"grant_type=x&token=y", ""), (b"grant_type=x&token=y", b""))
        self.assertEqual(around(b"", ""), (b"", b""))

    def test_clean(self) -> None:
        """Only what stands in a form as it is: letters, digits and four signs, and at least one of them."""
        self.assertTrue(is_clean(b"azAZ09._~-"))
        for octet in range(256):
            self.assertEqual(is_clean(b"a%c" % octet), chr(octet) in "._~-" or bytes((octet,)).isalnum(), octet)
        self.assertFalse(is_clean(b""))
        self.assertFalse(is_clean(b"abc\n"))

    def test_assertions(self) -> None:
        """Anything that is called an assertion, in any spelling."""
        for body in (b"a=b&assertion=c", b"client_assertion=x", b"Client%5FASSERTION%5ftype=x", b"%61ssertion=b"):
            self.assertTrue(is_asserted(body), body)
        self.assertFalse(is_asserted(b"token=abc&client_id=insertion"))
