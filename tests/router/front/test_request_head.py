"""Heads of requests: what may be read in two ways is refused, all else stays as it was sent."""

import posixpath
import string
import urllib.parse

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.front.refusals import RefusedError
from router.front.request_head import SPECIAL, check_head, check_special, check_trailer, read_target

UNRESERVED = string.ascii_letters + string.digits + "-_~"
segments = st.text(UNRESERVED + "!$&'()*+,;=:@", max_size=8).map(str.encode)
paths = st.lists(segments, min_size=1, max_size=5).map(lambda parts: b"/" + b"/".join(parts))
queries = st.text(UNRESERVED + "!$&'()*+,;=:@/?%[]{}|^`\\.", max_size=20).map(str.encode)
hosts = st.from_regex(rb"[a-z0-9][a-z0-9.-]{0,20}(:[0-9]{1,5})?", fullmatch=True)


def refused(target: bytes, method: str = "GET") -> bool:
    try:
        read_target(target, method)
    except RefusedError as error:
        return (error.status, error.reason) == (400, "malformed")
    return False


# --- targets ----------------------------------------------------------------------------------------------------------


@given(path=paths, query=queries)
def test_a_path_and_a_query_in_order_stay_as_they_are(path: bytes, query: bytes) -> None:
    assert read_target(path + b"?" + query, "GET") == (path, query)


@given(path=paths, query=queries, host=hosts, scheme=st.sampled_from([b"http", b"https", b"HTTP"]))
def test_an_absolute_target_means_its_path_whatever_its_host(
    path: bytes, query: bytes, host: bytes, scheme: bytes
) -> None:
    assert read_target(scheme + b"://" + host + path + b"?" + query, "POST") == (path, query)


def test_an_absolute_target_without_a_path_is_the_root() -> None:
    assert read_target(b"http://other", "GET") == (b"/", b"")
    assert read_target(b"http://other?x", "GET") == (b"/", b"x")


@given(target=st.binary(max_size=30))
@example(b"/%2e%2e/x")
@example(b"/a%00b")
@example(b"/a%2f..%2fb")
@example(b"/a/..;x=y/b")
@example(b"http://a/../b")
def test_whatever_is_let_through_is_a_plain_path_that_climbs_nowhere(target: bytes) -> None:
    try:
        path, query = read_target(target, "GET")
    except RefusedError:
        return

    assert path.startswith(b"/")
    assert all(0x21 <= byte < 0x7F and byte not in b'#?\\<>"' for byte in path)
    assert all(0x21 <= byte < 0x7F and byte != 0x23 for byte in query)
    decoded = urllib.parse.unquote(path.decode()).replace("\\", "/")
    assert "\0" not in decoded
    assert posixpath.normpath("/root" + decoded).startswith("/root")


dots = st.sampled_from([b"..", b".", b"%2e%2e", b".%2E", b"%2e.", b"%2E", b"..;a=b", b"..;", b"%2e%2e%3bx", b".;"])
slashes = st.sampled_from([b"/", b"%2f", b"%2F", b"%5c", b"%5C"])


@given(before=paths, first=slashes, dot=dots, second=slashes, after=segments)
def test_dots_are_refused_however_they_are_written(
    before: bytes, first: bytes, dot: bytes, second: bytes, after: bytes
) -> None:
    assert refused(before + first + dot + second + after)
    assert refused(before + first + dot)


@pytest.mark.parametrize(
    "target", [b"/...", b"/.well-known/x", b"/a..b", b"/a./b", b"/a%252e%252e/b", b"/..a", b"/v1.5/x"]
)
def test_dots_that_are_part_of_a_name_are_let_through(target: bytes) -> None:
    assert read_target(target, "GET") == (target, b"")


@pytest.mark.parametrize(
    "target", [b"", b"x", b"*", b"evil:80", b"?x", b"ftp://a/x", b"http://", b"http://a@b/", b"//\x00"]
)
def test_a_target_without_a_path_on_this_server_is_refused(target: bytes) -> None:
    assert refused(target)


def test_an_asterisk_is_for_options_alone() -> None:
    assert read_target(b"*", "OPTIONS") == (b"*", b"")
    assert refused(b"*", "GET")
    assert refused(b"**", "OPTIONS")


# --- headers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(SPECIAL - {b"expect"}))
def test_what_decides_on_the_reading_may_come_only_once(name: bytes) -> None:
    value = {b"content-length": b"3", b"host": b"client", b"transfer-encoding": b"chunked"}[name]
    seen: set[bytes] = set()

    assert check_special(name, b" " + value + b"\t", seen) == value
    with pytest.raises(RefusedError, match="only once"):
        check_special(name, value, seen)


def test_an_expectation_may_come_twice() -> None:
    seen: set[bytes] = set()

    assert [check_special(b"expect", b"100-continue", seen) for _ in range(2)] == [b"100-continue"] * 2


@given(coding=st.text("chunked, ;=\x0b", max_size=12).map(str.encode))
@example(b"Chunked")
@example(b"chunked, chunked")
def test_no_transfer_coding_but_one_is_understood(coding: bytes) -> None:
    try:
        taken = check_special(b"transfer-encoding", coding, set())
    except RefusedError:
        assert coding.strip(b" \t").lower() != b"chunked"
    else:
        assert taken.lower() == b"chunked"


@given(host=hosts)
@example(b"[::1]:80")
@example(b"[::1]")
@example(b"a_b.example:")
def test_a_host_in_order_is_let_through(host: bytes) -> None:
    assert check_special(b"host", host, set()) == host


@pytest.mark.parametrize(
    "host", [b"", b"a b", b"a@b", b"a/b", b"a:b", b"a:1:2", b"[::1", b"\xff", b"a:999999", b"a\\b"]
)
def test_a_host_that_is_none_is_refused(host: bytes) -> None:
    with pytest.raises(RefusedError, match="names no host"):
        check_special(b"host", host, set())


@pytest.mark.parametrize("name", [b"content-length", b"authorization", b"host", b"x-touchstone-a", b"x-forwarded-for"])
def test_a_trailer_that_frames_routes_or_authorises_is_refused(name: bytes) -> None:
    with pytest.raises(RefusedError):
        check_trailer(name)


def test_another_trailer_is_harmless() -> None:
    check_trailer(b"x-checksum")


# --- the head as a whole ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["0.9", "1.2", "2.0", "3.0", "0.0"])
def test_only_two_versions_are_spoken(version: str) -> None:
    with pytest.raises(RefusedError) as caught:
        check_head(version, "GET", {b"host"})
    assert caught.value.status == 400


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "SOURCE", "PLAY", "DESCRIBE"])
def test_methods_of_other_protocols_and_of_forward_proxies_are_not_served(method: str) -> None:
    with pytest.raises(RefusedError) as caught:
        check_head("1.1", method, {b"host"})
    assert (caught.value.status, caught.value.reason) == (501, "method")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_the_methods_of_http_are_served(method: str) -> None:
    check_head("1.1", method, {b"host"})


def test_a_host_is_needed_in_one_version_and_chunks_are_unknown_in_the_other() -> None:
    with pytest.raises(RefusedError, match="missing"):
        check_head("1.1", "GET", set())
    check_head("1.0", "GET", set())
    with pytest.raises(RefusedError, match="transfer codings"):
        check_head("1.0", "GET", {b"transfer-encoding"})
