"""The pages as a browser gets them: what they say, what they never do, and what they show when something is wrong."""

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event
from tests_history import CONFIG, START, Life, bad, good, live_through, living

from router.admin.app import build_admin
from router.admin.tokens import Role, create_token
from router.fakes.server import serving

PAGES = ("/", "/experiments/support", "/backends", "/incidents", "/audit", "/audit?experiment=support")


def get(url: str, **headers: str) -> tuple[int, str, str]:
    """Return status, content type and text, as a browser asks."""
    request = urllib.request.Request(url, headers={"accept": "text/html,*/*"} | headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.headers["content-type"], response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["content-type"], error.read().decode()


@pytest.fixture(name="life", scope="module")
def _life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with living(tmp_path_factory.mktemp("life")) as life:
        live_through(life, bad)
        yield life


@pytest.fixture(name="url", scope="module")
def _url(life: Life) -> Iterator[str]:
    with serving(build_admin(life.config, life.store)) as url:
        yield url


def test_the_verdict_is_the_first_thing_that_the_overview_and_the_experiment_say(url: str) -> None:
    for path in ("/", "/experiments/support"):
        _, _, page = get(url + path)
        found = re.search(r'class="sentence">([^<]*)<', page)
        assert found is not None
        assert "int4 does harm: agreement is 30 points worse (10 points tolerated)" in found[1]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_never_made_by_reading_what_grows_with_the_traffic(life: Life, url: str, path: str) -> None:
    asked: list[str] = []

    def note(_connection, _cursor, statement, *_) -> None:
        asked.append(statement)

    event.listen(life.store.engine, "before_cursor_execute", note)
    try:
        status, kind, _ = get(url + path)
    finally:
        event.remove(life.store.engine, "before_cursor_execute", note)

    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert not [statement for statement in asked if re.search(r"\b(exchange|outcome|feedback)\b", statement)]
    assert len(asked) < 40


@pytest.mark.parametrize("path", PAGES)
def test_a_page_loads_nothing_from_elsewhere_and_has_no_script_of_its_own(url: str, path: str) -> None:
    _, _, page = get(url + path)

    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
    assert all("application/json" in tag or "src=" in tag for tag in re.findall(r"<script[^>]*>", page))
    assert not re.search(r"\son[a-z]+=", page)


def test_a_page_says_by_its_policy_that_nothing_else_may_be_loaded(url: str) -> None:
    with urllib.request.urlopen(f"{url}/", timeout=10) as response:
        policy = response.headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy


def test_whoever_asks_for_what_is_not_there_gets_a_page_and_a_program_a_problem(url: str) -> None:
    for path in ("/nowhere", "/experiments/other", "/experiments/%3Cscript%3E"):
        status, kind, page = get(url + path)
        assert (status, kind) == (404, "text/html; charset=utf-8")
        assert "<script>" not in page
        assert get(url + path, accept="application/json")[:2] == (404, "application/problem+json")


def test_without_a_store_a_page_says_so_and_that_traffic_is_served(tmp_path: Path) -> None:
    with living(tmp_path) as life, serving(build_admin(life.config, life.store)) as url:
        status, kind, page = get(f"{url}/")

    assert (status, kind) == (503, "text/html; charset=utf-8")
    assert "Traffic is not touched by this" in page


def test_before_the_first_look_the_pages_say_that_nothing_has_been_compared(tmp_path: Path) -> None:
    with living(tmp_path) as life, serving(build_admin(life.config, life.store)) as url:
        life.controller.start(START)
        page = get(f"{url}/experiments/support")[2]
        overview = get(f"{url}/")[2]

    assert "Nothing has been compared yet" in page
    assert "not worse" not in overview


def test_what_users_and_configurations_say_is_text_and_never_markup(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    text = CONFIG.replace(
        "[experiments.support]", f'[experiments.support]\nhypothesis = "{hostile}"\nowner = "{hostile}"'
    )
    with living(tmp_path, text) as life, serving(build_admin(life.config, life.store)) as url:
        live_through(life, good)
        page = get(f"{url}/experiments/support")[2]

    assert hostile not in page
    assert "&lt;script&gt;alert(1)" in page


def test_with_tokens_a_browser_is_led_to_the_login_and_a_session_opens_the_pages(tmp_path: Path) -> None:
    text = CONFIG.replace("[router]", '[router]\nadmin_tokens = "tokens"')
    with living(tmp_path, text) as life, serving(build_admin(life.config, life.store)) as url:
        life.controller.start(START)
        token = create_token(tmp_path / "tokens", "asha", Role.READ)
        assert "Log in" in get(f"{url}/")[2]
        assert get(f"{url}/api/v1/experiments")[0] == 401
        assert get(f"{url}/static/style.css")[0] == 200

        body = f'{{"token": "{token}"}}'.encode()
        request = urllib.request.Request(f"{url}/login", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as response:
            cookie = response.headers["set-cookie"]

        session = cookie.partition(";")[0]
        assert {"HttpOnly", "SameSite=strict"} <= {part.strip() for part in cookie.split(";")}
        assert get(f"{url}/experiments/support", cookie=session)[0] == 200
        pause = urllib.request.Request(
            f"{url}/api/v1/experiments/support/pause",
            b'{"reason": "x"}',
            {"content-type": "application/json", "cookie": session},
        )
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(pause, timeout=10)


def test_a_wrong_token_is_refused_with_a_sentence(tmp_path: Path) -> None:
    text = CONFIG.replace("[router]", '[router]\nadmin_tokens = "tokens"')
    with living(tmp_path, text) as life, serving(build_admin(life.config, life.store)) as url:
        body, headers = b'{"token": "guess"}', {"content-type": "application/json"}
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(f"{url}/login", body, headers), timeout=10)
        with refused.value as answer:
            assert (answer.code, b"unknown or has expired" in answer.read()) == (401, True)
