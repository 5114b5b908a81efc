"""Rules about spot instances: which endpoints they are, where their notices are, what they cost. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from experiments.config.lines import Location
from experiments.config.messages import Finding
from experiments.config.price_rules import check_price
from experiments.config.problems import nearest
from experiments.config.serving import Backend


def check_spot(at: Location, backend: Backend) -> Iterator[Finding]:
    """Yield everything that is wrong with a backend's spot instances.

    Args:
        at: The backend's table.
        backend: What stands there.
    """
    spot, table = backend.spot, (*at, "spot")
    if spot is None:
        return
    known = {url.rstrip("/"): url for url in backend.urls}
    for index, url in enumerate(spot.urls):
        if url.rstrip("/") not in known:
            rule = "is none of the backend's urls: name there all endpoints, and here those on spot instances"
            yield Finding((*table, "urls", index), rule, nearest(url, backend.urls), because=((*at, "urls"),))
    if spot.notice_urls and len(spot.notice_urls) != len(spot.urls):
        rule = f"must be one for each of spot.urls, in order: {len(spot.urls)}, and not {len(spot.notice_urls)}"
        yield Finding((*table, "notice_urls"), rule, because=((*table, "urls"),))
    for index, url in enumerate(spot.notice_urls):
        if not _is_url(url):
            rule = "must be a URL that begins with http:// or https://, with a host and without a user"
            yield Finding((*table, "notice_urls", index), rule, because=((*table, "notice_urls"),))
    if spot.price is not None:
        yield from check_price((*table, "price"), spot.price)
        yield from _alike(at, backend)


def _alike(at: Location, backend: Backend) -> Iterator[Finding]:
    """Refuse a price on spot without one on demand, or counted in another way: what spot saves could not be told."""
    price, spot = backend.price, backend.spot
    at_price = (*at, "spot", "price")
    if spot is None or spot.price is None:
        return
    if price is None:
        yield Finding(at_price, "needs the price on demand beside it: the backend's price", because=((*at, "price"),))
    elif (price.gpu_hour is None) != (spot.price.gpu_hour is None):
        rule = "must be counted as the backend's price is: both by tokens, or both by gpu_hour"
        yield Finding(at_price, rule, because=((*at, "price"),))


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_sound = parts.port is None or parts.port > 0
    except ValueError:
        return False
    sound = url.isprintable() and not set(url) & set(" \t#\\") and "@" not in parts.netloc
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and sound and port_is_sound
