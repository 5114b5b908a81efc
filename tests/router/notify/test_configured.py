"""The channels of a configuration: which kind each is, with its secret, and none shown."""

from pathlib import Path

import pytest
from tests_history import CONFIG, write_config

from experiments.config import load
from experiments.config.records import Config
from experiments.telling.escalation import Severity
from router.notify.channels import ChannelError
from router.notify.configured import channels_of
from router.processes.secrets import SecretError

CHANNELS = """
[router.notifications.channels.chat]
url = "env:TS_CHAT"
[router.notifications.channels.pager]
url = "file:pager"
secret = "file:shared"
least = "critical"
"""


def configured(folder: Path, text: str = CHANNELS) -> Config:
    return load(write_config(folder, CONFIG + text), {})


def test_with_a_secret_it_is_our_webhook_and_without_one_a_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TS_CHAT", "json://127.0.0.1:9/token-of-chat")
    (tmp_path / "pager").write_text("https://pager.example/token-of-pager\n")
    (tmp_path / "shared").write_text("between-us\n")

    chat, pager = channels_of(configured(tmp_path))

    assert (chat.name, chat.least, pager.name, pager.least) == ("chat", Severity.INFO, "pager", Severity.CRITICAL)
    assert [repr(chat), repr(pager)] == ["<AppriseChannel chat json://>", "<WebhookChannel pager https://>"]


def test_no_word_of_notifications_is_no_channel(tmp_path: Path) -> None:
    assert channels_of(configured(tmp_path, "")) == []


def test_a_secret_that_is_not_there_and_a_service_that_is_unknown_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured(tmp_path)
    with pytest.raises(SecretError, match="env:TS_CHAT is not in the environment"):
        channels_of(config)
    monkeypatch.setenv("TS_CHAT", "pigeon://hunter2")

    with pytest.raises(ChannelError, match="channel chat: pigeon:// is unknown to apprise") as caught:
        channels_of(config)

    assert "hunter2" not in str(caught.value)
