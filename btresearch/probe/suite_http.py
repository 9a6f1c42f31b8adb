"""Probes of the web server inside the channel, as a table: name, what is sent."""

from __future__ import annotations

from btresearch.probe.channel import Offer
from btresearch.probe.steps import Act, Pause, Raw, Step, split
from btresearch.probe.visit import Probe, Web

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BT_HANDSHAKE = b"\x13BitTorrent protocol" + bytes(8) + b"\x55" * 20 + b"-XX0000-000000000000"
# An MSE initiator's Ya and padding are uniform; a fixed draw, whose first bytes are no other protocol's.
MSE_START = bytes((i * 167 + 91) % 256 for i in range(96 + 40))
JUNK = bytes((i * 73 + 129) % 256 for i in range(1 << 16))
CHROME = (
    b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
)


def _request(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([line, *fields, b"", b""]) + body


def _host(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    return _request(line, b"Host: a", *fields, body=body)


CHUNKED = b"Transfer-Encoding: chunked"

SIZES: dict[str, tuple[Step, ...]] = {
    "junk 0 bytes": (b"",),
    **{f"junk {size} bytes": (JUNK[:size],) for size in (1, 34, 50, 51, 52, 16384)},
    "junk 50 bytes in single ones": split(JUNK[:50], 1),
    "junk 16384 bytes in records of 1024": split(JUNK[:16384], 1024),
    "junk 65536 bytes": split(JUNK, 16384),
    "zeros 51 bytes": (bytes(51),),
    "letters 51 bytes": (b"A" * 51,),
    "letters 16384 bytes": (b"A" * 16384,),
    "newlines 4096 bytes": (b"\r\n" * 2048,),
    "bittorrent handshake": (BT_HANDSHAKE,),
    "bittorrent handshake split": split(BT_HANDSHAKE, 20),
    "mse first bytes": (MSE_START,),
    "tls hello inside tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + JUNK[:506],),
    "ssh banner": (b"SSH-2.0-OpenSSH_9.2\r\n",),
}

METHODS: dict[str, tuple[Step, ...]] = {
    "get /": (GET,),
    "get / byte by byte": split(GET, 1),
    "get a missing page": (_host(b"GET /missing HTTP/1.1"),),
    "head /": (_host(b"HEAD / HTTP/1.1"),),
    "options /": (_host(b"OPTIONS / HTTP/1.1"),),
    "options *": (_host(b"OPTIONS * HTTP/1.1"),),
    "trace /": (_host(b"TRACE / HTTP/1.1"),),
    "connect": (_host(b"CONNECT a:443 HTTP/1.1"),),
    "connect /": (_host(b"CONNECT / HTTP/1.1"),),
    "put /": (_host(b"PUT / HTTP/1.1", b"Content-Length: 2", body=b"ab"),),
    "delete /x": (_host(b"DELETE /x HTTP/1.1"),),
    "patch /": (_host(b"PATCH / HTTP/1.1", b"Content-Length: 0"),),
    "propfind /": (_host(b"PROPFIND / HTTP/1.1"),),
    "unknown method": (_host(b"FOO / HTTP/1.1"),),
    "unknown method on a missing page": (_host(b"FOO /x HTTP/1.1"),),
    "small method": (_host(b"get / HTTP/1.1"),),
    "digit in method": (_host(b"G3T / HTTP/1.1"),),
    "long method": (_host(b"A" * 600 + b" / HTTP/1.1"),),
    "http2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]),),
}

LINES: dict[str, tuple[Step, ...]] = {
    "partial get": (b"GET / HT",),
    "partial head": (b"GET / HTTP/1.1\r\nHost: a\r\n",),
    "partial get, then half-close": (b"GET / HT", Act.HALF_CLOSE),
    "http/0.9": (b"GET /\r\n",),
    "http/0.9 head": (b"HEAD /\r\n",),
    "http/0.9 post": (b"POST /\r\n",),
    "http/1.0": (_request(b"GET / HTTP/1.0"),),
    "http/1.0 keep-alive": (_host(b"GET / HTTP/1.0", b"Connection: keep-alive"),),
    "http/1.2": (_host(b"GET / HTTP/1.2"),),
    "http/1.99": (_host(b"GET / HTTP/1.99"),),
    "http/1.100": (_host(b"GET / HTTP/1.100"),),
    "http/2.0": (_host(b"GET / HTTP/2.0"),),
    "http/0.9 named": (_host(b"GET / HTTP/0.9"),),
    "http/01.1": (_host(b"GET / HTTP/01.1"),),
    "http/x": (_host(b"GET / HTTP/x"),),
    "no version digit": (_host(b"GET / HTTP/"),),
    "wrong protocol": (_host(b"GET / FTP/1.1"),),
    "two spaces": (_host(b"GET  /  HTTP/1.1"),),
    "trailing space": (_host(b"GET / HTTP/1.1 "),),
    "space in uri": (_host(b"GET /a b HTTP/1.1"),),
    "control in uri": (_host(b"GET /a\x01b HTTP/1.1"),),
    "no slash": (_host(b"GET index.html HTTP/1.1"),),
    "leading newlines": (b"\r\n\r\n" + GET,),
    "leading space": (b" " + GET,),
    "bare newlines": (GET.replace(b"\r\n", b"\n"),),
    "bare carriage returns": (GET.replace(b"\r\n", b"\r"),),
    "absolute form": (_host(b"GET http://a/ HTTP/1.1"),),
    "absolute form, missing page": (_host(b"GET http://a:80/x?y HTTP/1.1"),),
    "absolute form without path": (_host(b"GET http://a HTTP/1.1"),),
    "absolute form, odd scheme": (_host(b"GET h2+x://a/ HTTP/1.1"),),
    "absolute form, bad host": (_host(b"GET http://a^b/ HTTP/1.1"),),
    "escape": (_host(b"GET /%41 HTTP/1.1"),),
    "escape of the slash": (_host(b"GET /%2e%2e/%2e%2e/ HTTP/1.1"),),
    "bad escape": (_host(b"GET /%zz HTTP/1.1"),),
    "escaped nul": (_host(b"GET /%00 HTTP/1.1"),),
    "above the root": (_host(b"GET /../ HTTP/1.1"),),
    "below and back": (_host(b"GET /a/../ HTTP/1.1"),),
    "a dot": (_host(b"GET /. HTTP/1.1"),),
    "two slashes": (_host(b"GET // HTTP/1.1"),),
    "a folder": (_host(b"GET /x/ HTTP/1.1"),),
    "query": (_host(b"GET /?a=b HTTP/1.1"),),
    "fragment": (_host(b"GET /#a HTTP/1.1"),),
    "uri of 8000": (_host(b"GET /" + b"a" * 8000 + b" HTTP/1.1"),),
    "uri of 8300": (_host(b"GET /" + b"a" * 8300 + b" HTTP/1.1"),),
    "uri of 16000": (_host(b"GET /" + b"a" * 16000 + b" HTTP/1.1"),),
}

HEADERS: dict[str, tuple[Step, ...]] = {
    "no host": (_request(b"GET / HTTP/1.1"),),
    "empty host": (_request(b"GET / HTTP/1.1", b"Host:"),),
    "two hosts": (_host(b"GET / HTTP/1.1", b"Host: b"),),
    "bad host": (_request(b"GET / HTTP/1.1", b"Host: a/b"),),
    "host with a space": (_request(b"GET / HTTP/1.1", b"Host: a b"),),
    "host with two dots": (_request(b"GET / HTTP/1.1", b"Host: a..b"),),
    "host with a port": (_request(b"GET / HTTP/1.1", b"Host: a:1234"),),
    "header of 8000": (_host(b"GET / HTTP/1.1", b"A: " + b"a" * 8000),),
    "header of 9000": (_host(b"GET / HTTP/1.1", b"A: " + b"a" * 9000),),
    "headers of 30000": split(_host(b"GET / HTTP/1.1", *[b"A: " + b"a" * 7000] * 4), 16384),
    "headers of 42000": split(_host(b"GET / HTTP/1.1", *[b"A: " + b"a" * 7000] * 6), 16384),
    "200 headers": (_host(b"GET / HTTP/1.1", *[b"A%d: b" % i for i in range(200)]),),
    "4000 headers": split(_host(b"GET / HTTP/1.1", *[b"A: b"] * 6000), 16384),
    "header without colon": (_host(b"GET / HTTP/1.1", b"Abc"),),
    "header without name": (_host(b"GET / HTTP/1.1", b": b"),),
    "header with a space in its name": (_host(b"GET / HTTP/1.1", b"A b: c"),),
    "header with nul": (_host(b"GET / HTTP/1.1", b"A: b\x00c"),),
    "header with a carriage return": (_host(b"GET / HTTP/1.1", b"A: b\rc"),),
    "header with underscore": (_host(b"GET / HTTP/1.1", b"A_b: c"),),
    "folded header": (_host(b"GET / HTTP/1.1", b"A: b", b" c"),),
    "header in utf-8": (_host(b"GET / HTTP/1.1", "A: é".encode()),),
    "connection close": (_host(b"GET / HTTP/1.1", b"Connection: close"),),
    "connection close, then more": (_host(b"GET / HTTP/1.1", b"Connection: close"), Act.TURN, GET),
    "connection Keep-Alive": (_host(b"GET / HTTP/1.1", b"Connection: Keep-Alive"),),
    "connection other": (_host(b"GET / HTTP/1.1", b"Connection: upgrade", b"Upgrade: websocket"),),
    "gzip": (_host(b"GET / HTTP/1.1", b"Accept-Encoding: gzip, deflate, br"),),
    "gzip on a missing page": (_host(b"GET /x HTTP/1.1", b"Accept-Encoding: gzip"),),
    "gzip refused": (_host(b"GET / HTTP/1.1", b"Accept-Encoding: gzip;q=0"),),
    "gzip over http/1.0": (_host(b"GET / HTTP/1.0", b"Accept-Encoding: gzip"),),
    "gzip by a proxy": (_host(b"GET / HTTP/1.1", b"Via: x", b"Accept-Encoding: gzip"),),
    "gzip, head": (_host(b"HEAD / HTTP/1.1", b"Accept-Encoding: gzip"),),
    "gzip, not allowed": (_host(b"FOO / HTTP/1.1", b"Accept-Encoding: gzip"),),
    "browser": (_host(b"GET / HTTP/1.1", b"User-Agent: " + CHROME, b"Accept-Encoding: gzip, br"),),
    "browser without gzip": (_host(b"GET / HTTP/1.1", b"User-Agent: " + CHROME),),
    "old browser": (_host(b"GET / HTTP/1.1", b"User-Agent: Mozilla/4.0 (compatible; MSIE 7.0)"),),
    "range": (_host(b"GET / HTTP/1.1", b"Range: bytes=0-1"),),
    "conditional": (_host(b"GET / HTTP/1.1", b"If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT"),),
    "if-match": (_host(b"GET / HTTP/1.1", b'If-Match: "a"'),),
    "unmodified since": (_host(b"GET / HTTP/1.1", b"If-Unmodified-Since: Thu, 01 Jan 2015 00:00:00 GMT"),),
}

_POST = b"POST / HTTP/1.1"
BODIES: dict[str, tuple[Step, ...]] = {
    "post without length": (_host(_POST),),
    "post": (_host(_POST, b"Content-Length: 3", body=b"abc"),),
    "post to a missing page": (_host(b"POST /x HTTP/1.1", b"Content-Length: 3", body=b"abc"),),
    "post, body later": (_host(_POST, b"Content-Length: 3"), Act.TURN, b"abc" + GET),
    "post, half a body": (_host(_POST, b"Content-Length: 30", body=b"abc"),),
    "post, body too long": (_host(_POST, b"Content-Length: 3", body=b"abcdef"),),
    "post of 1 MiB": (_host(_POST, b"Content-Length: 1048576"),),
    "post of 1 MiB and a byte": (_host(_POST, b"Content-Length: 1048577"),),
    "post of 3 MB with body": (_host(_POST, b"Content-Length: 3000000"), *split(JUNK, 16384)),
    "negative length": (_host(_POST, b"Content-Length: -1"),),
    "length no number": (_host(_POST, b"Content-Length: abc"),),
    "length empty": (_host(_POST, b"Content-Length:"),),
    "length huge": (_host(_POST, b"Content-Length: 99999999999999999999"),),
    "two lengths": (_host(_POST, b"Content-Length: 3", b"Content-Length: 3", body=b"abc"),),
    "get with body": (_host(b"GET / HTTP/1.1", b"Content-Length: 3", body=b"abc"),),
    "expect continue": (_host(_POST, b"Content-Length: 3", b"Expect: 100-continue"),),
    "expect other": (_host(_POST, b"Content-Length: 3", b"Expect: 200-ok"),),
    "chunked": (_host(_POST, CHUNKED, body=b"3\r\nabc\r\n0\r\n\r\n" + GET),),
    "chunked in pieces": (_host(_POST, CHUNKED), b"3\r\na", b"bc\r\n", b"0\r\n\r\n", GET),
    "chunked with extension": (_host(_POST, CHUNKED, body=b"3;x=y\r\nabc\r\n0\r\n\r\n" + GET),),
    "chunked with trailer": (_host(_POST, CHUNKED, body=b"0\r\nA: b\r\n\r\n" + GET),),
    "chunked, bad size": (_host(_POST, CHUNKED, body=b"xyz\r\nabc\r\n0\r\n\r\n"),),
    "chunked, bad size later": (_host(_POST, CHUNKED), Act.TURN, b"xyz\r\n"),
    "chunked, bad end": (_host(_POST, CHUNKED, body=b"3\r\nabcde\r\n0\r\n\r\n"),),
    "chunked, size too large": (_host(_POST, CHUNKED, body=b"f" * 20 + b"\r\n"),),
    "chunked, unfinished": (_host(_POST, CHUNKED, body=b"5\r\nab"),),
    "chunked in capitals": (_host(_POST, b"Transfer-Encoding: CHUNKED", body=b"0\r\n\r\n"),),
    "chunked and length": (_host(_POST, CHUNKED, b"Content-Length: 3", body=b"0\r\n\r\n"),),
    "chunked over http/1.0": (_host(b"POST / HTTP/1.0", CHUNKED, body=b"0\r\n\r\n"),),
    "encoding unknown": (_host(_POST, b"Transfer-Encoding: gzip"),),
    "encoding identity": (_host(_POST, b"Transfer-Encoding: identity"),),
    "two encodings": (_host(_POST, b"Transfer-Encoding: gzip, chunked"),),
}

ORDER: dict[str, tuple[Step, ...]] = {
    "pipelined": (GET + GET + _host(b"HEAD / HTTP/1.1") + _host(b"GET /x HTTP/1.1", b"Connection: close"),),
    "pipelined in one record with junk": (GET + JUNK[:64],),
    "one after the other": (GET, Act.TURN, GET, Act.TURN, GET),
    "keepalive, then junk": (GET, Act.TURN, JUNK[:64]),
    "keepalive, then newlines": (GET, Act.TURN, b"\r\n\r\n" + GET),
    "junk, then get": (JUNK[:64], Act.TURN, GET),
    "half-close": (Act.HALF_CLOSE,),
    "close_notify": (Act.CLOSE_NOTIFY,),
    "get, then half-close": (GET, Act.HALF_CLOSE),
    "get, then close_notify": (GET, Act.TURN, Act.CLOSE_NOTIFY),
    "get and close_notify at once": (GET, Act.CLOSE_NOTIFY),
    "record with a bad mac": (Raw(b"\x17\x03\x03\x00\x40" + JUNK[:64]),),
    "get, then a bad mac": (GET, Act.TURN, Raw(b"\x17\x03\x03\x00\x40" + JUNK[:64])),
    "record of an unknown kind": (Raw(b"\x63\x03\x03\x00\x05abcde"),),
    "record oversize": (Raw(b"\x17\x03\x03\x7f\xff" + JUNK[:64]),),
    "record empty": (Raw(b"\x17\x03\x03\x00\x00"),),
    "record unfinished, half-close": (Raw(b"\x17\x03\x03\x00\x40" + JUNK[:20]), Act.HALF_CLOSE),
    "plain http inside the channel": (Raw(GET),),
    "alert in clear": (Raw(b"\x15\x03\x03\x00\x02\x02\x28"),),
    "ccs in the channel": (Raw(b"\x14\x03\x03\x00\x01\x01"),),
}

SILENCE: dict[str, tuple[Step, ...]] = {
    "silence": (),
    "partial line": (b"GET / HT",),
    "partial head": (GET[:-2],),
    "partial line after 30 s": (Pause(30.0), b"GET / HT"),
    "keepalive": (GET,),
    "keepalive, then a partial line": (GET, Act.TURN, Pause(5.0), b"GET"),
    "post, half a body": (_host(_POST, b"Content-Length: 30", body=b"abc"),),
    "chunked, unfinished": (_host(_POST, CHUNKED, body=b"5\r\nab"),),
    "50 bytes": (b"A" * 50,),
    "700 bytes": (b"A" * 700,),
    "newlines": (b"\r\n" * 30,),
    "get, then half-close": (GET, Act.TURN, Act.HALF_CLOSE),
}

_GROUPS = {"size": SIZES, "method": METHODS, "line": LINES, "header": HEADERS, "body": BODIES, "order": ORDER}

_TLS12 = Offer(max_version=0x0303)

PROBES: tuple[Probe, ...] = (
    *(Web(f"{group}: {name}", steps) for group, rows in _GROUPS.items() for name, steps in rows.items()),
    *(
        Web(f"tls 1.2: {name}", ({**SIZES, **METHODS, **ORDER})[name], _TLS12)
        for name in ("junk 51 bytes", "junk 16384 bytes", "get /", "half-close", "close_notify")
    ),
    Web("tls 1.2: bad mac", (Raw(b"\x17\x03\x03\x00\x40" + JUNK[:64]),), _TLS12),
    Web("alpn h2, http/1.1: http2 preface", METHODS["http2 preface"], Offer(alpn=(b"h2", b"http/1.1"))),
    *(Web(f"timeout: {name}", steps, slow=True) for name, steps in SILENCE.items()),
    Web("timeout: tls 1.2 silence", (), _TLS12, slow=True),
)
