"""Templates: escaped, complete, and loud about a value that is not there."""

import pytest
from jinja2 import UndefinedError

from router.dashboard.rendering import Pages, ago, moment


def test_a_value_is_escaped() -> None:
    page = Pages().render("trouble.html", {"status": 503, "detail": "<b>"})

    assert b"&lt;b&gt;" in page.body
    assert page.status_code == 200


def test_a_template_that_misses_a_value_is_an_error_and_no_empty_place() -> None:
    with pytest.raises(UndefinedError, match="detail"):
        Pages().render("trouble.html", {"status": 503})


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (1e6, "11 days")]
)
def test_a_time_is_told_in_its_largest_unit(seconds: float, said: str) -> None:
    assert ago(seconds) == said


def test_a_moment_is_utc() -> None:
    assert moment(0.0) == "1970-01-01 00:00:00"
