"""URLs of the store: read in one way or refused, and never quoted."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial import unittest

from oauthd.config import RedisAddress, redis_address

PASSWORDS = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable())


class RedisAddressTests(unittest.SynchronousTestCase):
    """What a URL says."""

    def test_accepted(self) -> None:
        """Host, port, database, user, password, TLS, authorities and unix sockets are read."""
        for url, address in (
            ("redis://store", RedisAddress(host="store", port=6379)),
            ("redis://store/", RedisAddress(host="store", port=6379)),
            ("redis://10.0.0.1:7000/3", RedisAddress(host="10.0.0.1", port=7000, db=3)),
            ("redis://store?db=3", RedisAddress(host="store", port=6379, db=3)),
            ("redis://[2001:db8::1]:7000", RedisAddress(host="2001:db8::1", port=7000)),
            ("redis://:pw@store", RedisAddress(host="store", port=6379, password="pw")),
            ("redis://me:p%40w%2F%23@store", RedisAddress(host="store", port=6379, user="me", password="p@w/#")),
            ("redis://me:a:b@store", RedisAddress(host="store", port=6379, user="me", password="a:b")),
            ("rediss://store", RedisAddress(host="store", port=6379, tls=True)),
            (
                "rediss://store/1?ca_file=/etc/ca%20file.pem",
                RedisAddress(host="store", port=6379, tls=True, db=1, ca_file="/etc/ca file.pem"),
            ),
            ("unix:///run/valkey.sock", RedisAddress(path="/run/valkey.sock")),
            ("unix://me:pw@/run/a%20b?db=2", RedisAddress(path="/run/a b", user="me", password="pw", db=2)),
        ):
            self.assertEqual(redis_address(url), address, url)

    def test_sentinels(self) -> None:
        """Several sentinels, the name of the service, and credentials of both kinds are read."""
        two = (("one", 26379), ("::1", 7000))
        for url, address in (
            ("redis+sentinel://one/main", RedisAddress(sentinels=(("one", 26379),), service="main")),
            ("redis+sentinel://one,[::1]:7000/my-main.1/3", RedisAddress(sentinels=two, service="my-main.1", db=3)),
            ("redis+sentinel://[::1]:7000,one/main?db=3",
             RedisAddress(sentinels=two[::-1], service="main", db=3)),
            (
                "rediss+sentinel://me:p%2Cw@one,[::1]:7000/main?sentinel_user=s&sentinel_password=q%26&ca_file=/ca",
                RedisAddress(sentinels=two, service="main", tls=True, user="me", password="p,w", ca_file="/ca",
                             sentinel_user="s", sentinel_password="q&"),
            ),
        ):  # fmt: skip
            self.assertEqual(redis_address(url), address, url)

    def test_refused(self) -> None:
        """What is unknown, named twice or ambiguous is refused with a reason that does not quote the URL."""
        for url, reason in (
            ("", "visible ASCII"),
            ("redis://:hunter2\n@store", "visible ASCII"),
            ("redis://:hunter2é@store", "visible ASCII"),
            ("store:6379", "must begin with redis://"),
            ("http://:hunter2@store", "must begin with redis://"),
            ("redis://", "must name a host"),
            ("redis://:hunter2@", "must name a host"),
            ("redis://:hunter2@a,b", "must name a host"),
            ("redis://:hunter2/x@store", "well-formed host and port"),
            ("redis://store:hunter2", "well-formed host and port"),
            ("redis://[hunter2", "well-formed host and port"),
            ("redis://store:0", "port from 1"),
            ("redis://store:65536", "well-formed host and port"),
            ("redis://:hunter2#x@store", "well-formed host and port"),
            ("redis://store#hunter2", "must not have a fragment"),
            ("redis://store#", "must not have a fragment"),
            ("redis://a:hunter2@b@store", "write @ in a password as %40"),
            ("redis://hunter2@store", "password after the user name"),
            ("redis://a:%ffhunter2@store", "in UTF-8"),
            ("redis://store/0?db=0", "database once"),
            ("redis://store?db=0&db=1", "give db once"),
            ("redis://store?db=", "give db once"),
            ("redis://store/hunter2", "database by a number"),
            ("redis://store/-1", "database by a number"),
            ("redis://store/65536", "database by a number"),
            ("redis://store?password=hunter2", "no query parameter other than db with redis://"),
            ("redis://store?ca_file=/hunter2", "no query parameter other than db with redis://"),
            ("rediss://store?cafile=/hunter2", "no query parameter other than db and ca_file with rediss://"),
            ("unix://", "absolute path"),
            ("unix:///", "absolute path"),
            ("unix://hunter2/socket", "absolute path"),
            ("redis+sentinel:///main", "must name a host"),
            ("redis+sentinel://one,,two/main", "must name a host"),
            ("redis+sentinel://one,hunter2@two/main", "password after the user name"),
            ("redis+sentinel://one,two:0/main", "port from 1"),
            ("redis+sentinel://one,one:26379/main", "each sentinel once"),
            ("redis+sentinel://one", "name the service"),
            ("redis+sentinel://one/hunter2%20", "name the service"),
            ("redis+sentinel://one/main/hunter2", "database by a number"),
            ("redis+sentinel://one/main/1?db=1", "database once"),
            ("redis+sentinel://one/main?sentinel_user=hunter2", "sentinel_password"),
            ("redis+sentinel://one/main?ca_file=/hunter2", "no query parameter other than"),
            ("redis+sentinel://one/main#hunter2", "must not have a fragment"),
        ):
            with self.assertRaises(ValueError, msg=url) as caught:
                redis_address(url)
            self.assertIn(reason, str(caught.exception), url)
            self.assertNotIn("hunter2", str(caught.exception))
            self.assertIsNone(caught.exception.__cause__)

    @given(PASSWORDS, PASSWORDS)
    def test_credentials_round_trip(self, user: str, password: str) -> None:
        """Any user and password survive percent-encoding, and the password stays out of repr and location."""
        address = redis_address(f"redis://{quote(user, safe='')}:{quote(password, safe='')}@store:1/2")
        self.assertEqual((address.user, address.password), (user, password))
        self.assertEqual(address, RedisAddress(host="store", port=1, user=user, password=password, db=2))
        self.assertEqual(address.location, "redis://store:1/2")
        self.assertEqual(repr(address), repr(redis_address(f"redis://{quote(user, safe='')}:other@store:1/2")))

    def test_location(self) -> None:
        """The address for people is again a URL of the same server."""
        for url in ("redis://store:1/2", "rediss://[::1]:6379/0", "unix:///run/s?db=0",
                    "rediss+sentinel://[::1]:1,two:2/main/3"):  # fmt: skip
            self.assertEqual(redis_address(url).location, url)

    @given(st.text(max_size=60))
    def test_only_value_errors(self, text: str) -> None:
        """Whatever the text, reading it ends in an address or a ValueError."""
        for url in (text, f"redis://{text}", f"unix://{text}", f"redis+sentinel://{text}"):
            try:
                self.assertIsInstance(redis_address(url), RedisAddress)
            except ValueError as error:
                self.assertTrue(str(error).startswith("must "))
