"""Whom to tell: each rule refuses at the line of the key, says what would be right, and shows no secret."""

from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.config import load

Tell = Callable[..., list[str]]
Write = Callable[[str], Path]
AT = "router.notifications"
QUIET = 'quiet = { start = "22:00", end = "07:00", zone = "Asia/Kolkata" }'


def text(good: str, *lines: str) -> str:
    """Return the good configuration with lines of notifications from line 3 on."""
    return good.replace("workers = 2\n", "\n".join(["workers = 2", "[router.notifications]", *lines, ""]))


REFUSED = [
    (QUIET.replace("22:00", "22.00"), 4, f'{AT}.quiet.start = "22.00": must be a time of day, "HH:MM"'),
    (QUIET.replace("07:00", "24:00"), 4, f'{AT}.quiet.end = "24:00": must be a time of day, "HH:MM"'),
    (QUIET.replace("07:00", "7:00"), 4, f'{AT}.quiet.end = "7:00": must be a time of day'),
    (QUIET.replace("07:00", "22:00"), 4, f'{AT}.quiet.end = "22:00": must differ from start'),
    (QUIET.replace("Asia/Kolkata", "Asia/Kolkatta"), 4, 'is no time zone; one is "Asia/Kolkata" (did you mean "Asia/K'),
    (QUIET.replace("Asia/Kolkata", "../passwd"), 4, f'{AT}.quiet.zone = "../passwd": is no time zone'),
    (QUIET.replace("Asia/Kolkata", "Asia"), 4, "is no time zone"),
    ('quiet = { start = "22:00", end = "07:00" }', 4, f"{AT}.quiet.zone"),
    ("renotify_minutes = 0", 4, f"{AT}.renotify_minutes = 0: must be above 0"),
    ("dedupe_minutes = -1.5", 4, "must be above 0"),
    ("renotify = 5", 4, 'did you mean "renotify_minutes"?'),
    ('channels.chat.url = "slack://opensesame"', 4, f'{AT}.channels.chat: url must be "env:NAME" or "file:PATH", nev'),
    ('channels.chat = { url = "env:A", secret = "opensesame" }', 4, "channels.chat: secret must be"),
    ('channels.chat = { url = "env:A", least = "urgent" }', 4, 'least = "urgent": must be "info", "warning" or "crit'),
    ('channels.chat = { url = "env:A", leest = "info" }', 4, 'did you mean "least"?'),
    ('channels.chat = { least = "info" }', 4, f"{AT}.channels.chat.url"),
    ('channels.Chat = { url = "env:A" }', 4, "a name is up to 64 of a-z"),
    ('channels = "env:A"', 4, "must be a table"),
]


@pytest.mark.parametrize(("line", "number", "said"), REFUSED, ids=[case[0][-40:] for case in REFUSED])
def test_what_cannot_be_told_is_refused_at_its_line(good: str, told: Tell, line: str, number: int, said: str) -> None:
    [problem] = told(text(good, line))

    assert problem.startswith(f"config.toml:{number}  ")
    assert said in problem
    assert "opensesame" not in problem


def test_a_channel_in_a_table_of_its_own_is_refused_at_that_tables_line(good: str, told: Tell) -> None:
    changed = f'{good}\n[router.notifications.channels.pager]\nleast = "critical"\nurl = "json://opensesame"\n'

    [problem] = told(changed)

    assert problem.startswith(f"config.toml:{good.count(chr(10)) + 2}  {AT}.channels.pager: url must be")


def test_what_is_sound_is_carried(good: str, write: Write) -> None:
    lines = (
        "renotify_minutes = 10",
        QUIET,
        'channels.chat.url = "env:CHAT"',
        'channels.pager = { url = "file:/run/secrets/pager", secret = "env:SHARED", least = "critical" }',
    )

    settings = load(write(text(good, *lines)), {}).router.notifications

    assert settings is not None
    assert (settings.renotify_minutes, settings.dedupe_minutes) == (10, 60)
    assert settings.quiet is not None
    assert (settings.quiet.start, settings.quiet.end, settings.quiet.zone) == ("22:00", "07:00", "Asia/Kolkata")
    assert [(name, c.url, c.secret, c.least) for name, c in settings.channels.items()] == [
        ("chat", "env:CHAT", None, "info"),
        ("pager", "file:/run/secrets/pager", "env:SHARED", "critical"),
    ]


def test_without_a_word_of_it_nobody_is_told(good: str, write: Write) -> None:
    assert load(write(good), {}).router.notifications is None
