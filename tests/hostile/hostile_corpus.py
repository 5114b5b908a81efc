"""Raw requests that are meant to be read in two ways, each with what must become of it.

A case is refused (answered with its status and the connection closed, nothing reaches the backend), or reaches the
backend as the exact bytes that are given; `@HOST@` stands for the backend's authority.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import NamedTuple

CHAT = b"/v1/chat/completions"
"""Of an experiment that reads the unit from the body."""
BY_MODEL = b"/v1/completions"
"""Of one that looks for a model, and reads unit and slices from the body."""
MAX_BODY_BYTES = 16 * 2**20
BEHIND = b"GET /behind HTTP/1.1\r\nHost: client\r\n\r\n"
"""What every refused request has right behind it, in the same packet: it must not be answered."""


class Case(NamedTuple):
    name: str
    raw: bytes
    reaches: tuple[bytes, ...] = ()
    status: int = 400
    alone: bool = False
    """Nothing is sent behind it, as it would be read as its body; where no answer is due, the client ends it there."""
    then: int = 200
    """Status of the request behind one that reaches the backend; 400 if that is not where it seems to begin."""


def get(line: bytes = b"GET / HTTP/1.1", headers: bytes = b"", end: bytes = b"\r\n") -> bytes:
    return line + b"\r\nHost: client\r\n" + headers + end


def post(headers: bytes, body: bytes = b"", path: bytes = b"/") -> bytes:
    return b"POST " + path + b" HTTP/1.1\r\nHost: client\r\n" + headers + b"\r\n" + body


def chunked(body: bytes, more: bytes = b"") -> bytes:
    return post(b"Transfer-Encoding: chunked\r\n" + more, body)


def sent(line: bytes, headers: bytes = b"", body: bytes | None = None) -> tuple[bytes, ...]:
    length = b"" if body is None else b"content-length: %d\r\n" % len(body)
    return (line + b" HTTP/1.1\r\nhost: @HOST@\r\n" + headers + length + b"\r\n" + (body or b""),)


ROOT = sent(b"GET /")
ABC = sent(b"POST /", b"", b"abc")


def framing() -> Iterator[Case]:
    te, cl = b"Transfer-Encoding: chunked\r\n", b"Content-Length: 3\r\n"
    yield Case("a plain body", post(cl, b"abc"), ABC)
    yield Case("a chunked body", chunked(b"3\r\nabc\r\n0\r\n\r\n"), ABC)
    yield Case("chunks in many pieces", chunked(b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"), ABC)
    yield Case("CL and TE", post(cl + te, b"0\r\n\r\n"))
    yield Case("TE and CL", post(te + cl, b"0\r\n\r\n"))
    yield Case("CL.TE smuggling", post(b"Content-Length: 6\r\n" + te, b"0\r\n\r\nG"))
    yield Case("TE.CL smuggling", post(te + b"Content-Length: 4\r\n", b"5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n"))
    yield Case("CL twice, the same", post(cl + cl, b"abc"))
    yield Case("CL twice, differing", post(cl + b"Content-Length: 5\r\n", b"abcde"))
    yield Case("CL twice, in another case", post(cl + b"content-length: 3\r\n", b"abc"))
    for value in (b"+3", b"-3", b"3,3", b"3, 3", b"0x3", b"3 3", b"3;", b"3.0", b"3e0", b"", b"abc", b"\x0b3", b"3\x00",
                  b"\xb3", b"18446744073709551616", b"99999999999999999999999", b"'3'", b"3_0"):  # fmt: skip
        yield Case(f"CL {value!r}", post(b"Content-Length: " + value + b"\r\n", b"abc"))
    yield Case("CL with leading zeros", post(b"Content-Length: 0003\r\n", b"abc"), ABC)
    yield Case("CL with space after it", post(b"Content-Length: 3 \t \r\n", b"abc"), ABC)
    yield Case(
        "CL shorter than the data", post(b"Content-Length: 2\r\n", b"abc"), sent(b"POST /", b"", b"ab"), then=400
    )
    yield Case("CL longer than the data", post(b"Content-Length: 30\r\n", b"abc"), alone=True, status=0)
    yield Case(
        "CL too large to hold", post(b"Content-Length: 18446744073709551615\r\n", b"abc"), alone=True, status=413
    )
    yield Case("CL below a space", post(b"Content-Length : 3\r\n", b"abc"))
    yield Case("CL folded", post(b"Content-Length:\r\n 3\r\n", b"abc"))
    for value in (b"chunked, identity", b"identity, chunked", b"identity", b"xchunked", b"chunkedx", b"\x0bchunked",
                  b"chunked\x0b", b"chunked;q=1", b'"chunked"', b"chunked,", b",chunked", b"chunked chunked", b"gzip",
                  b"gzip, chunked", b"deflate, chunked", b"chunked, chunked", b"", b"chunke\x00d", b"x", b"cow",
                  b"chunked\xff", b"ch\xc3\xbcnked"):  # fmt: skip
        yield Case(f"TE {value!r}", post(b"Transfer-Encoding: " + value + b"\r\n", b"0\r\n\r\n"))
    yield Case("TE in capitals", post(b"TRANSFER-ENCODING: CHUNKED\r\n", b"3\r\nabc\r\n0\r\n\r\n"), ABC)
    yield Case("TE with space around it", post(b"Transfer-Encoding: \t  chunked  \r\n", b"3\r\nabc\r\n0\r\n\r\n"), ABC)
    yield Case("TE with a tab behind it", post(b"Transfer-Encoding: chunked\t\r\n", b"3\r\nabc\r\n0\r\n\r\n"))
    yield Case("TE twice", post(te + te, b"0\r\n\r\n"))
    yield Case("TE twice, identity first", post(b"Transfer-Encoding: identity\r\n" + te, b"0\r\n\r\n"))
    yield Case("TE below a space", post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"))
    yield Case("TE below a tab", post(b"Transfer-Encoding\t: chunked\r\n", b"0\r\n\r\n"))
    yield Case("TE folded", post(b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n"))
    yield Case("TE behind a bare LF", post(b"X: y\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"))
    yield Case("TE behind a bare CR", post(b"X: y\rTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"))
    yield Case("TE in HTTP/1.0", b"POST / HTTP/1.0\r\n" + te + b"\r\n0\r\n\r\n")
    yield Case("TE with an underscore is no framing", post(b"Transfer_Encoding: chunked\r\n" + cl, b"abc"),
               sent(b"POST /", b"Transfer_Encoding: chunked\r\n".lower(), b"abc"))  # fmt: skip
    yield Case("a body on GET", get(headers=cl) + b"abc", sent(b"GET /", b"", b"abc"))
    yield Case("a chunked body on GET", get(headers=te) + b"3\r\nabc\r\n0\r\n\r\n", sent(b"GET /", b"", b"abc"))
    yield Case("a body on HEAD", get(b"HEAD / HTTP/1.1", cl) + b"abc", sent(b"HEAD /", b"", b"abc"))
    yield Case("a body on DELETE", get(b"DELETE / HTTP/1.1", cl) + b"abc", sent(b"DELETE /", b"", b"abc"))
    yield Case("no framing on POST", post(b""), sent(b"POST /", b"", b""))
    yield Case("two requests at once", get() + post(cl, b"abc"), ROOT + ABC)
    yield Case("a good and a bad one", get() + get(headers=b"X : y\r\n"), ROOT, then=400)
    yield Case("an empty line before", b"\r\n\r\n" + get(), ROOT)


def chunks() -> Iterator[Case]:
    for name, body in {
        "0x": b"0x3\r\nabc\r\n0\r\n\r\n",
        "a plus": b"+3\r\nabc\r\n0\r\n\r\n",
        "a minus": b"-3\r\nabc\r\n0\r\n\r\n",
        "an underscore": b"0_3\r\nabc\r\n0\r\n\r\n",
        "a space before": b" 3\r\nabc\r\n0\r\n\r\n",
        "a space behind": b"3 \r\nabc\r\n0\r\n\r\n",
        "no size": b"\r\nabc\r\n0\r\n\r\n",
        "2^64 and 3": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
        "2^68": b"ffffffffffffffff0\r\nabc\r\n0\r\n\r\n",
        "letters": b"xyz\r\nabc\r\n0\r\n\r\n",
        "LF behind the size": b"3\nabc\r\n0\r\n\r\n",
        "LF behind the data": b"3\r\nabc\n0\r\n\r\n",
        "LF behind the last size": b"3\r\nabc\r\n0\n\r\n",
        "LF at the end": b"3\r\nabc\r\n0\r\n\n",
        "LF everywhere": b"3\nabc\n0\n\n",
        "CR behind the size": b"3\rabc\r\n0\r\n\r\n",
        "nothing behind the data": b"3\r\nabc0\r\n\r\n",
        "data longer than the size": b"2\r\nabc\r\n0\r\n\r\n",
        "a size longer than the data": b"5\r\nabc\r\n0\r\n\r\n",
        "LF in an extension": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
        "LF in a quoted extension": b'3;a="x\ny"\r\nabc\r\n0\r\n\r\n',
        "CR in an extension": b"3;a\rb\r\nabc\r\n0\r\n\r\n",
        "NUL in an extension": b"3;a\x00\r\nabc\r\n0\r\n\r\n",
        "an extension without a name": b"3;\r\nabc\r\n0\r\n\r\n",
        "NUL as the size": b"\x00\r\nabc\r\n0\r\n\r\n",
        "a huge extension": b"1;" + b"a" * 600_000,
        "an endless trailer": b"0\r\nx: " + b"a" * 600_000,
        "500 trailers of 1 kB": b"0\r\n" + (b"x: " + b"a" * 1000 + b"\r\n") * 500,
    }.items():
        status = 431 if name.startswith("500") else 400
        yield Case(f"chunk: {name}", chunked(body), status=status)
    yield Case("chunk: leading zeros", chunked(b"00000003\r\nabc\r\n0\r\n\r\n"), ABC)
    yield Case("chunk: an extension", chunked(b"3;a=b\r\nabc\r\n0\r\n\r\n"), ABC)
    yield Case("chunk: capitals", chunked(b"A\r\n0123456789\r\n0\r\n\r\n"), sent(b"POST /", b"", b"0123456789"))
    yield Case("chunk: no end", chunked(b"3\r\nabc\r\n"), alone=True, status=0)
    for trailer in (b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Authorization: Bearer x", b"Host: evil",
                    b"Cookie: a=b", b"Content-Type: text/html", b"Connection: close", b"Proxy-Authorization: x",
                    b"Content-Encoding: gzip", b"X-Touchstone-Force: int4", b"X-Forwarded-For: 1.2.3.4", b"TE: x",
                    b"X : y", b"X: a\n b", b"X: a\r\n b", b"X\x00: a"):  # fmt: skip
        yield Case(f"trailer {trailer!r}", chunked(b"3\r\nabc\r\n0\r\n" + trailer + b"\r\n\r\n"))
    yield Case(
        "a harmless trailer", chunked(b"3\r\nabc\r\n0\r\nX-Checksum: 1\r\n\r\n", b"Trailer: X-Checksum\r\n"), ABC
    )


def lines() -> Iterator[Case]:
    for name, raw in {
        "HTTP/0.9": b"GET /\r\n\r\n",
        "HTTP/2.0": get(b"GET / HTTP/2.0"),
        "HTTP/3.0": get(b"GET / HTTP/3.0"),
        "HTTP/1.2": get(b"GET / HTTP/1.2"),
        "HTTP/1.10": get(b"GET / HTTP/1.10"),
        "HTTP/01.1": get(b"GET / HTTP/01.1"),
        "HTTP/1,1": get(b"GET / HTTP/1,1"),
        "http/1.1": get(b"GET / http/1.1"),
        "ICE/1.0": get(b"GET / ICE/1.0"),
        "no version number": get(b"GET / HTTP/"),
        "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "a TLS handshake": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
        "an unknown method": get(b"FOO / HTTP/1.1"),
        "a method in small letters": get(b"get / HTTP/1.1"),
        "a method with NUL": get(b"GE\x00T / HTTP/1.1"),
        "a tab behind the method": get(b"GET\t/ HTTP/1.1"),
        "a space before the method": get(b" GET / HTTP/1.1"),
        "a space behind the version": get(b"GET / HTTP/1.1 "),
        "a word behind the version": get(b"GET / HTTP/1.1 HTTP/1.0"),
        "LF behind the line": b"GET / HTTP/1.1\nHost: client\r\n\r\n",
        "CR behind the line": b"GET / HTTP/1.1\rHost: client\r\n\r\n",
        "LF everywhere": b"GET / HTTP/1.1\nHost: client\n\n",
        "LF at the end of the head": b"GET / HTTP/1.1\r\nHost: client\r\n\n",
    }.items():
        yield Case(f"line: {name}", raw)
    for method in (b"DESCRIBE", b"PLAY", b"TEARDOWN"):
        yield Case(f"line: {method.decode()}", get(method + b" / HTTP/1.1"))
        yield Case(f"line: {method.decode()} of RTSP", get(method + b" / RTSP/1.0"), status=501)
    for method in (b"TRACE", b"SOURCE", b"CONNECT"):
        yield Case(f"line: {method.decode()}", get(method + b" / HTTP/1.1"), status=501)
    yield Case("line: two spaces are one", get(b"GET  /  HTTP/1.1"), ROOT)
    yield Case("line: HTTP/1.0 without a host", b"GET / HTTP/1.0\r\n\r\n", ROOT)
    yield Case("line: HTTP/1.0 kept alive", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", ROOT)
    yield Case("line: HTTP/1.0 with a body", b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", ABC)


def targets() -> Iterator[Case]:
    for name, target in {
        "authority": b"evil:80",
        "a relative path": b"x/y",
        "nothing but a query": b"?x",
        "an asterisk": b"*",
        "another scheme": b"ftp://evil/x",
        "file": b"file:///etc/passwd",
        "userinfo": b"http://client@evil/x",
        "userinfo and password": b"http://a:b@evil/x",
        "no host": b"http:///x",
        "no host but a port": b"http://:80/x",
        "a host with a space in percent": b"http://a b/x",
        "a fragment": b"/x#y",
        "a fragment in the query": b"/x?y#z",
        "NUL": b"/\x00",
        "an encoded NUL": b"/a%00b",
        "a tab": b"/a\tb",
        "DEL": b"/a\x7fb",
        "bytes above ASCII": b"/\xc3\xbc",
        "bytes above ASCII in the query": b"/?\xc3\xbc",
        "a bare percent": b"/100%",
        "half a percent": b"/a%2",
        "no hex": b"/a%zz",
        "overlong dots in IIS's way": b"/%u002e%u002e/",
        "dots": b"/../admin",
        "dots in the middle": b"/v1/../../admin",
        "dots at the end": b"/v1/..",
        "one dot": b"/./admin",
        "dots of Tomcat": b"/..;/admin",
        "dots of Tomcat with a parameter": b"/v1/..;a=b/admin",
        "encoded dots": b"/%2e%2e/admin",
        "half encoded dots": b"/v1/.%2E/admin",
        "dots behind an encoded slash": b"/v1%2f..%2fadmin",
        "dots behind an encoded backslash": b"/v1%5c..%5cadmin",
        "a backslash": b"/v1\\..\\admin",
        "dots in an absolute target": b"http://client/../admin",
        "a brace": b"/{x}",
        "a less-than": b"/<script>",
    }.items():
        yield Case(f"target: {name}", get(b"GET " + target + b" HTTP/1.1"))
    yield Case("target: CONNECT", b"CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\n\r\n", status=501)
    yield Case("target: very long", get(b"GET /" + b"a" * 70_000 + b" HTTP/1.1"), status=431)
    yield Case("target: endless", get(b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1"), status=431)
    for name, target, path in (
        ("another host", b"http://evil/x?y=1", b"/x?y=1"),
        ("another host and port", b"http://evil:8080/x", b"/x"),
        ("another host, in capitals", b"HTTP://EVIL/x", b"/x"),
        ("the metadata address", b"http://169.254.169.254/latest/meta-data/", b"/latest/meta-data/"),
        ("another host without a path", b"http://evil", b"/"),
        ("another host with only a query", b"http://evil?x", b"/?x"),
        ("https", b"https://evil/x", b"/x"),
        ("two slashes", b"//evil/x", b"//evil/x"),
        ("three slashes", b"///evil/x", b"///evil/x"),
        ("an at sign", b"/@evil/x", b"/@evil/x"),
        ("a host in the path", b"/http://evil/x", b"/http://evil/x"),
        ("a colon", b"/x:80/y", b"/x:80/y"),
        ("an encoded slash", b"/a%2Fb", b"/a%2Fb"),
        ("an encoded percent", b"/a%252e%252e/b", b"/a%252e%252e/b"),
        ("an encoded line end", b"/a%0d%0aX:%20y", b"/a%0d%0aX:%20y"),
        ("dots that are a name", b"/...", b"/..."),
        ("a hidden file", b"/.well-known/x", b"/.well-known/x"),
        ("dots in the query", b"/x?y=/../../z", b"/x?y=/../../z"),
        ("an empty query", b"/x?", b"/x"),
        ("marks in the query", b"/x?a={b}&c=%zz??", b"/x?a={b}&c=%zz??"),
    ):
        yield Case(f"target: {name}", get(b"GET " + target + b" HTTP/1.1"), sent(b"GET " + path))


def headers() -> Iterator[Case]:
    for name, header in {
        "a space in the name": b"X Y: z",
        "a space before the colon": b"X : z",
        "a tab before the colon": b"X\t: z",
        "no name": b": z",
        "no colon": b"XYZ",
        "a bracket in the name": b"X(Y): z",
        "a quote in the name": b'X"Y: z',
        "a slash in the name": b"X/Y: z",
        "an at sign in the name": b"X@Y: z",
        "bytes above ASCII in the name": b"X\xff: z",
        "NUL in the name": b"X\x00: z",
        "NUL in the value": b"X: a\x00b",
        "VT in the value": b"X: a\x0bb",
        "DEL in the value": b"X: a\x7fb",
        "ESC in the value": b"X: a\x1b[0m",
        "CR in the value": b"X: a\rb",
        "CR at the end": b"X: a\r",
        "LF in the value": b"X: a\nY: b",
        "a fold": b"X: a\r\n b",
        "a fold by a tab": b"X: a\r\n\tb",
        "a fold of nothing": b"X: a\r\n \r\n",
        "a fold that hides a host": b"X: a\r\n Host: evil",
        "a second host": b"Host: evil",
        "a second host, the same": b"Host: client",
    }.items():
        yield Case(f"header: {name}", get(headers=header + b"\r\n"))
    for host in (b"", b" ", b"a b", b"a@b", b"a/b", b"a,b", b"http://a", b"a\\b", b"a:b", b"a:1:2", b"[::1", b"a#b",
                 b"a?b", b"\xff", b"a<b", b'"a"', b"a:999999"):  # fmt: skip
        refused = host != b"a,b"  # a comma is allowed in a name, though nobody has one
        raw = b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
        yield Case(f"host {host!r}", raw, () if refused else ROOT)
    yield Case("header: no host", b"GET / HTTP/1.1\r\n\r\n")
    yield Case("header: folded first", b"GET / HTTP/1.1\r\n Host: client\r\n\r\n")
    for host in (b"evil", b"evil:80", b"[::1]:80", b"169.254.169.254", b"xn--bcher-kva.example"):
        yield Case(f"host {host!r} steers nothing", b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", ROOT)
    yield Case("header: 101", get(headers=b"X: y\r\n" * 100), status=431)
    yield Case("header: 100", get(headers=b"X: y\r\n" * 99), sent(b"GET /", b"x: y\r\n" * 99))
    yield Case("header: 10,000", get(headers=b"X: y\r\n" * 10_000), status=431)
    yield Case("header: a value of 1 MB", get(headers=b"X: " + b"a" * 1_000_000 + b"\r\n"), status=431)
    yield Case("header: a name of 1 MB", get(headers=b"X" * 1_000_000 + b": a\r\n"), status=431)
    yield Case("header: no end", get(headers=b"X: y\r\n" * 3, end=b""), alone=True, status=0)
    kept = b"x-a: 1\r\n"
    for name, sends, reaches in (
        ("hop-by-hop", b"Connection: keep-alive, X-B\r\nX-B: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nX-A: 1\r\n", kept),
        ("named as hop-by-hop twice", b"Connection: X-B\r\nConnection: X-C\r\nX-B: 1\r\nX-C: 1\r\nX-A: 1\r\n", kept),
        ("our own, named", b"Connection: x-touchstone-exchange, authorization\r\nAuthorization: x\r\nX-A: 1\r\n", kept),
        ("our own, spoofed", b"X-Touchstone-Force: int4\r\nx-touchstone-exchange: 1\r\nX-A: 1\r\n", kept),
        ("for the proxy", b"Proxy-Authorization: x\r\nProxy-Connection: close\r\nX-A: 1\r\n", kept),
        ("of the length, named", b"Connection: content-length\r\nX-A: 1\r\n", kept),
        ("an expectation", b"Expect: 100-continue\r\nX-A: 1\r\n", kept),
        ("an unknown expectation", b"Expect: 200-ok\r\nX-A: 1\r\n", kept),
        ("bytes above ASCII", b"X-A: \xc3\xbc\xff\r\n", b"x-a: \xc3\xbc\xff\r\n"),
        ("an empty value", b"X-A:\r\n", b"x-a: \r\n"),
        ("a tab in the value", b"X-A: a\tb\r\n", b"x-a: a\tb\r\n"),
        ("no space", b"X-A:1\r\n", kept),
        ("twice, in order", b"X-A: 1\r\nX-B: 2\r\nX-A: 3\r\n", b"x-a: 1\r\nx-b: 2\r\nx-a: 3\r\n"),
        ("all marks of a token", b"!#$%&'*+-.^_`|~9z: 1\r\n", b"!#$%&'*+-.^_`|~9z: 1\r\n"),
        ("forwarded", b"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Host: evil\r\n",
         b"x-forwarded-for: 1.2.3.4\r\nx-forwarded-host: evil\r\n"),
        ("an upgrade without its token", b"Upgrade-Insecure-Requests: 1\r\n", b"upgrade-insecure-requests: 1\r\n"),
    ):  # fmt: skip
        yield Case(f"header: {name}", get(headers=sends), sent(b"GET /", reaches))
    yield Case(
        "header: an upgrade to WebSocket", get(headers=b"Connection: Upgrade\r\nUpgrade: websocket\r\n"), status=501
    )


def bodies() -> Iterator[Case]:
    user = b'{"model":"m","user":"u1","messages":[]'
    for name, body in {
        "JSON 100,000 deep": b"[" * 100_000,
        "JSON 100,000 deep and whole": b'{"user":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "JSON 100,000 deep behind the model": user + b',"x":' + b'{"a":' * 100_000,
        "1,000,000 keys": user + b"," + b",".join(b'"k%d":1' % n for n in range(1_000_000)) + b"}",
        "a huge number": user + b',"n":' + b"9" * 100_000 + b"}",
        "a huge exponent": user + b',"n":1e999999}',
        "NaN": user + b',"n":NaN}',
        "a user that is a huge number": b'{"model":"m","user":' + b"9" * 5_000 + b"}",
        "a user that is an object": b'{"model":"m","user":{"a":1}}',
        "a user that is a lone surrogate": b'{"model":"m","user":"\\ud800"}',
        "a user that is half a pair": b'{"model":"m","user":"\\udc00\\ud800"}',
        "a user with NUL": b'{"model":"m","user":"a\\u0000b"}',
        "a user with line ends": b'{"model":"m","user":"a\\r\\nSet-Cookie: b"}',
        "a user of 500 kB": b'{"model":"m","user":"' + b"a" * 500_000 + b'"}',
        "a user that is not UTF-8": b'{"model":"m","user":"\xff\xfe"}',
        "a surrogate in UTF-8": b'{"model":"m","user":"\xed\xa0\x80"}',
        "a byte-order mark": b"\xef\xbb\xbf" + user + b"}",
        "UTF-16": (user + b"}").decode().encode("utf-16"),
        "the model twice": b'{"model":"a","model":"m","user":"u"}',
        "the model twice, the other first": b'{"model":"m","model":"a","user":"u"}',
        "the model as an escape": b'{"\\u006dodel":"m","user":"u"}',
        "a model that is a number": b'{"model":1,"user":"u"}',
        "a model that is a lone surrogate": b'{"model":"\\ud800","user":"u"}',
        "the user twice": b'{"model":"m","user":"a","user":"b"}',
        "JSON cut off": user,
        "JSON and more": user + b"}{}",
        "nothing": b"",
        "NUL bytes": b"\x00" * 1000,
        "all bytes": bytes(range(256)) * 4,
        "a request": BEHIND,
        "line ends": b"\r\n" * 100,
        "a prototype": b'{"__proto__":{"user":"x"},"model":"m","user":"u"}',
        "a gzip bomb": gzip.compress(b"\x00" * 10_000_000),
    }.items():
        for path in (CHAT, BY_MODEL):
            raw = post(b"Content-Length: %d\r\n" % len(body), body, path)
            yield Case(f"body to {path.decode()}: {name}", raw, sent(b"POST " + path, b"", body))
    bomb = gzip.compress(b'{"user":"' + b"a" * 5_000_000 + b'"}')
    for path in (CHAT, BY_MODEL):
        raw = post(b"Content-Encoding: gzip\r\nContent-Length: %d\r\n" % len(bomb), bomb, path)
        bytes_sent = sent(b"POST " + path, b"content-encoding: gzip\r\n", bomb)
        yield Case(f"body to {path.decode()}: gzip, said to be so", raw, bytes_sent)
    large = b"a" * (MAX_BODY_BYTES + 1)
    yield Case("body: too large", post(b"Content-Length: %d\r\n" % len(large), large), status=413, alone=True)
    yield Case("body: too large, in chunks", chunked(b"%x\r\n%b\r\n0\r\n\r\n" % (len(large), large), b""), status=413,
               alone=True)  # fmt: skip


CORPUS = tuple(case for family in (framing, chunks, lines, targets, headers, bodies) for case in family())
