"""Rules about how requests are served: secrets, addresses, files. Records in, findings out.

Of a file it is only asked whether it is there: a missing one is told by `touchstone check`, not by a process that dies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from experiments.config.hosts import is_loopback, is_metadata
from experiments.config.lines import Location
from experiments.config.messages import Finding
from experiments.config.metric_rules import NAME, NAME_RULE
from experiments.config.notifications import Notifications, Quiet
from experiments.config.problems import nearest
from experiments.config.records import Config, Experiment
from experiments.config.serving import Backend, RouterSettings, Tls
from experiments.privacy.redaction import PatternError, check_pattern
from experiments.scorers import ScorerError
from experiments.scorers.catalogue import factory

SECRET_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:[^\0]+")
_EXCLUDED = ("tools", "stateful", "not_idempotent")
_EXCLUDED_RULE = 'must be "tools", "stateful", "not_idempotent" or "header:NAME"'
_EXCLUDED_HEADER = re.compile(r"header:[\w!#$%&'*+.^`|~-]+", re.ASCII)
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_URL_RULE = "must be a URL that begins with http:// or https://, with a host and without a user"


def check_serving(config: Config) -> Iterator[Finding]:
    """Yield everything that is wrong with how requests are to be served."""
    yield from _router(config.router)
    for name, backend in config.backends.items():
        yield from _backend(("backends", name), backend)
    for name, experiment in config.experiments.items():
        yield from _excluded(("experiments", name), experiment)
        yield from _captured(("experiments", name), experiment)
        if "capture_percent" in experiment.model_fields_set and experiment.capture != "full":
            because = (("experiments", name, "capture"),)
            yield Finding(("experiments", name, "capture_percent"), 'is for capture = "full" only', because=because)
        yield from _recorded(("experiments", name), experiment, config.router)
        yield from _redacted(("experiments", name), experiment)


def _router(settings: RouterSettings) -> Iterator[Finding]:
    if settings.feedback.require_signed and settings.feedback.signing_key is None:
        yield Finding(("router", "feedback", "require_signed"), "needs a signing_key, with which the tokens are signed")
    for key in ("token", "signing_key"):
        yield from _secret(("router", "feedback"), key, getattr(settings.feedback, key))
    yield from _admin(settings)
    yield from _tls(("router", "tls"), settings.tls)
    yield from _tls(("router", "admin_tls"), settings.admin_tls)
    if settings.tracing is not None and not _is_url(settings.tracing.endpoint):
        yield Finding(("router", "tracing", "endpoint"), _URL_RULE)
    if settings.notifications is not None:
        yield from _notifications(("router", "notifications"), settings.notifications)


def _notifications(at: Location, settings: Notifications) -> Iterator[Finding]:
    for name, channel in settings.channels.items():
        table = (*at, "channels", name)
        if not NAME.fullmatch(name):
            yield Finding(table, NAME_RULE)
        # Most URLs of services carry their token.
        yield from _secret(table, "url", channel.url)
        yield from _secret(table, "secret", channel.secret)
    if settings.quiet is not None:
        yield from _quiet((*at, "quiet"), settings.quiet)


def _quiet(at: Location, quiet: Quiet) -> Iterator[Finding]:
    for key in ("start", "end"):
        if not _TIME.fullmatch(getattr(quiet, key)):
            yield Finding((*at, key), 'must be a time of day, "HH:MM"')
    if quiet.start == quiet.end:
        yield Finding((*at, "end"), "must differ from start", because=((*at, "start"),))
    if not _is_zone(quiet.zone):
        suggestion = nearest(quiet.zone, sorted(available_timezones()))
        yield Finding((*at, "zone"), 'is no time zone; one is "Asia/Kolkata"', suggestion)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _admin(settings: RouterSettings) -> Iterator[Finding]:
    host = settings.admin.rpartition(":")[0]
    if host and not is_loopback(host) and settings.admin_tokens is None:
        rule = "is not on loopback: name a file of tokens as router.admin_tokens, and fill it by `touchstone token`"
        yield Finding(("router", "admin"), rule, because=(("router", "admin_tokens"),))


def _secret(table: Location, key: str, value: str | None) -> Iterator[Finding]:
    """Refuse a secret that stands in the file itself, at its table: at the key, its value would be shown."""
    if value is not None and not SECRET_REFERENCE.fullmatch(value):
        yield Finding(table, f'{key} must be "env:NAME" or "file:PATH", never the secret itself')


def _tls(at: Location, tls: Tls | None) -> Iterator[Finding]:
    if tls is not None:
        yield from _file((*at, "certificate"), tls.certificate)
        yield from _file((*at, "key"), tls.key)


def _file(at: Location, path: Path) -> Iterator[Finding]:
    try:
        is_there = path.is_file()
    except OSError:  # a folder that may not be entered, a name that is too long
        is_there = False
    if not is_there:
        yield Finding(at, "there is no such file, or it may not be read")


def _backend(at: Location, backend: Backend) -> Iterator[Finding]:
    yield from _secret(at, "api_key", backend.api_key)
    yield from _link_local(at, backend)
    if backend.drain_notice_url is not None and not _is_url(backend.drain_notice_url):
        yield Finding((*at, "drain_notice_url"), _URL_RULE)
    if backend.health is not None and not backend.health.path.startswith("/"):
        yield Finding((*at, "health", "path"), 'must begin with "/"')
    if backend.warmup is not None:
        yield from _file((*at, "warmup", "requests"), backend.warmup.requests)
    if backend.tls.ca is not None:
        yield from _file((*at, "tls", "ca"), backend.tls.ca)


def _link_local(at: Location, backend: Backend) -> Iterator[Finding]:
    if backend.allow_link_local:
        return
    for index, url in enumerate(backend.urls):
        if is_metadata(_host(url)):
            rule = "is link-local, where clouds keep credentials: allow it by allow_link_local = true, if you mean it"
            yield Finding((*at, "urls", index), rule, because=((*at, "urls"), (*at, "allow_link_local")))


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # told by the rule about backends' URLs
        return ""


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_sound = parts.port is None or parts.port > 0
    except ValueError:
        return False
    bare = url.isprintable() and not re.search(r"[\s#\\]", url) and "@" not in parts.netloc
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and bare and port_is_sound


def _excluded(at: Location, experiment: Experiment) -> Iterator[Finding]:
    excluded = (*at, "mirror_exclude")
    for index, entry in enumerate(experiment.mirror_exclude):
        if entry not in _EXCLUDED and not _EXCLUDED_HEADER.fullmatch(entry):
            suggestion = nearest(entry, _EXCLUDED)
            yield Finding((*excluded, index), _EXCLUDED_RULE, suggestion, because=(excluded,))


def _captured(at: Location, experiment: Experiment) -> Iterator[Finding]:
    """Refuse scorers of texts where none is kept: they would never have anything to score."""
    if experiment.capture != "none":
        return
    for metric_at, scorer in _scorers(at, experiment):
        if _needs_text(scorer):
            rule = f'compares texts, and capture = "none" keeps none of {experiment.name}'
            yield Finding((*metric_at, "scorer"), rule, because=((*at, "capture"),))


def _recorded(at: Location, experiment: Experiment, settings: RouterSettings) -> Iterator[Finding]:
    """Refuse what is read off bodies of which not a byte is recorded."""
    capture_bytes = ("router", "capture_bytes")
    if settings.capture_bytes > 0:
        return
    for metric_at, _ in _scorers(at, experiment):
        yield Finding(
            (*metric_at, "scorer"),
            "needs the answers, and router.capture_bytes = 0 records none",
            because=(capture_bytes,),
        )
    for index, slice_ in enumerate(experiment.slices):
        if slice_.source.kind == "prompt":
            rule = "needs the prompt, and router.capture_bytes = 0 records none"
            yield Finding((*at, "slices", index), rule, because=(capture_bytes, (*at, "slices")))


def _redacted(at: Location, experiment: Experiment) -> Iterator[Finding]:
    redact = (*at, "redact")
    if experiment.redact and experiment.capture == "none":
        yield Finding(redact, 'is pointless: capture = "none" keeps no text', because=((*at, "capture"),))
    for index, pattern in enumerate(experiment.redact):
        try:
            check_pattern(pattern)
        except PatternError as error:
            yield Finding((*redact, index), str(error), because=(redact,))


def _scorers(at: Location, experiment: Experiment) -> Iterator[tuple[Location, str]]:
    for group in ("guardrails", "monitors"):
        for metric in getattr(experiment, group):
            if metric.scorer is not None:
                yield (*at, group, metric.name), metric.scorer


def _needs_text(scorer: str) -> bool:
    """Whether a scorer reads what was said; one that reads figures alone says so by an attribute `needs_text`."""
    try:
        return bool(getattr(factory(scorer), "needs_text", True))
    except ScorerError:  # told by the rules about metrics
        return False
