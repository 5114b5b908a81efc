"""Spot instances: they are some of the backend's endpoints, each with its notice, at a price that can be compared."""

from pathlib import Path

import pytest

from experiments.config import Config, ConfigError, load
from experiments.config.load import config_hash

TREATMENT = """
[backends.int4]
urls = ["http://spot-1:8000/", "http://spot-2:8000", "http://on-demand:8000"]
price = { gpu_hour = 2.5, concurrency = 8 }
"""
SPOT = """[backends.int4.spot]
urls = ["http://spot-1:8000", "http://spot-2:8000"]
notice_urls = ["http://spot-1:9000/notice", "http://spot-2:9000/notice"]
price = { gpu_hour = 0.8, concurrency = 8 }
"""
REST = """
[backends.original]
url = "http://original:8000"
price = { gpu_hour = 2.5, concurrency = 4 }
[experiments.support]
match = { path = "/v1/chat/completions" }
control = "original"
treatment = "int4"
split_percent = 50
"""


def loaded(folder: Path, text: str) -> Config:
    path = folder / "config.toml"
    path.write_text(text)
    return load(path)


def test_each_endpoint_has_the_price_of_its_pool(tmp_path: Path) -> None:
    backend = loaded(tmp_path, REST + TREATMENT + SPOT).backends["int4"]

    spot, on_demand = (backend.price_at(url) for url in ("http://spot-1:8000", "http://on-demand:8000"))
    assert (spot and spot.gpu_hour, on_demand and on_demand.gpu_hour) == (0.8, 2.5)
    assert not backend.is_spot("http://on-demand:8000")


def test_a_spot_price_begins_a_new_epoch_and_a_file_without_one_keeps_its_own(tmp_path: Path) -> None:
    plain, priced, dearer = (
        _hash(loaded(tmp_path, text))
        for text in (REST + TREATMENT, REST + TREATMENT + SPOT, REST + TREATMENT + SPOT.replace("0.8", "0.9"))
    )

    assert len({plain, priced, dearer}) == 3


def _hash(config: Config) -> str:
    return config_hash(config.experiments["support"], config.backends)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('urls = ["http://spot-1:8000", ', 'urls = ["http://spot-9:8000", ', "is none of the backend's urls"),
        (', "http://spot-2:9000/notice"]', "]", "must be one for each of spot.urls, in order: 2, and not 1"),
        ("http://spot-1:9000/notice", "spot-1/notice", "must be a URL that begins with http:// or https://"),
        ("gpu_hour = 0.8, concurrency = 8", "input = 1.0", "is missing: USD per million tokens"),
        ("gpu_hour = 0.8, concurrency = 8", "input = 1.0, output = 2.0", "both by tokens, or both by gpu_hour"),
        ("notice_urls", "notice_url", "notice_urls"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        loaded(tmp_path, REST + TREATMENT + SPOT.replace(old, new))

    problem = str(raised.value.problems[0])
    assert said in problem
    assert "backends.int4.spot" in problem


def test_a_price_on_spot_needs_the_one_on_demand(tmp_path: Path) -> None:
    without = TREATMENT.replace("price = { gpu_hour = 2.5, concurrency = 8 }\n", "")

    with pytest.raises(ConfigError, match="needs the price on demand beside it"):
        loaded(tmp_path, REST + without + SPOT)
