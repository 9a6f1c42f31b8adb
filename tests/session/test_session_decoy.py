"""The decoy's answers are nginx 1.22.1's, recorded with `server_tokens off` and an empty root."""

from __future__ import annotations

import pytest

from btresearch.session.decoy import MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_REQUESTS, Decoy

NOW_S = 1795364931.0  # Sun, 22 Nov 2026 16:28:51 GMT, when the answers were recorded
FOUND_NOTHING = (
    b"HTTP/1.1 404 Not Found\r\nServer: nginx\r\nDate: Sun, 22 Nov 2026 16:28:51 GMT\r\nContent-Type: text/html\r\n"
    b"Content-Length: 146\r\nConnection: keep-alive\r\n\r\n<html>\r\n<head><title>404 Not Found</title></head>\r\n"
    b"<body>\r\n<center><h1>404 Not Found</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
HELLO = b"\x13BitTorrent protocol" + bytes(48)

# request, status, Content-Length, does the connection close: as nginx answered over TLS
OVER_TLS = [
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"404 Not Found", 146, False),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", b"404 Not Found", 146, False),
    (b"FOO / HTTP/1.1\r\nHost: x\r\n\r\n", b"405 Not Allowed", 150, False),
    (b"OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n", b"405 Not Allowed", 150, False),
    (b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", b"405 Not Allowed", 150, True),
    (b"GET / HTTP/1.1\r\n\r\n", b"400 Bad Request", 150, True),
    (b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", b"400 Bad Request", 150, True),
    (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", b"505 HTTP Version Not Supported", 180, True),
    (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n",
        b"413 Request Entity Too Large",
        176,
        True,
    ),
    (HELLO, b"400 Bad Request", 150, True),
    (b"ab" * 20, b"400 Bad Request", 150, True),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 40000 + b"\r\n", b"400 Bad Request", 226, True),
    (b"GET / HTTP/1.0\r\n\r\n", b"404 Not Found", 146, True),
]
PLAIN = [
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"400 Bad Request", 248, True),
    (HELLO, b"400 Bad Request", 150, True),
]


def _judge(answer: bytes) -> tuple[bytes, int, int]:
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n")[0].removeprefix(b"HTTP/1.1 ")
    length = next(
        int(line.split(b": ")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")
    )
    return status, length, len(body)


def test_answer_is_byte_for_byte_the_recorded_one() -> None:
    assert Decoy().receive(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", now_s=NOW_S) == FOUND_NOTHING


@pytest.mark.parametrize(("request_", "status", "length", "closes"), OVER_TLS)
def test_over_tls(request_: bytes, status: bytes, length: int, closes: bool) -> None:
    decoy = Decoy()
    assert _judge(decoy.receive(request_, now_s=NOW_S)) == (status, length, length)
    assert decoy.closed is closes


@pytest.mark.parametrize(("request_", "status", "length", "closes"), PLAIN)
def test_plain_bytes_on_the_tls_port(request_: bytes, status: bytes, length: int, closes: bool) -> None:
    decoy = Decoy(tls=False)
    assert _judge(decoy.receive(request_, now_s=NOW_S)) == (status, length, length)
    assert decoy.closed is closes


@pytest.mark.parametrize("request_", [case[0] for case in OVER_TLS])
def test_bytewise_equals_whole(request_: bytes) -> None:
    whole, bytewise = Decoy(), Decoy()
    parts = [bytewise.receive(request_[i : i + 1], now_s=NOW_S) for i in range(len(request_))]
    assert b"".join(parts) == whole.receive(request_, now_s=NOW_S)


def test_http_0_9_gets_a_bare_page() -> None:
    decoy = Decoy()
    assert decoy.receive(b"GET /\r\n", now_s=NOW_S) == FOUND_NOTHING.partition(b"\r\n\r\n")[2]
    assert decoy.closed


def test_head_has_no_body_and_pipelining_works() -> None:
    both = Decoy().receive(
        b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", now_s=NOW_S
    )
    assert both.count(b"HTTP/1.1 404") == 2
    assert both.count(b"<html>") == 1


def test_bounds() -> None:
    decoy = Decoy()
    for _ in range(MAX_REQUESTS):
        assert not decoy.closed
        decoy.receive(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", now_s=NOW_S)
    assert decoy.closed
    waiting = Decoy()
    assert waiting.receive(b"GET / HTTP/1.1\r\nA: " + b"a" * (MAX_HEAD_BYTES - 30), now_s=NOW_S) == b""
    big = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % MAX_BODY_BYTES
    posting = Decoy()
    posting.receive(big + bytes(MAX_BODY_BYTES), now_s=NOW_S)
    assert posting.receive(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", now_s=NOW_S) == FOUND_NOTHING
