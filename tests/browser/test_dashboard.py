"""The dashboard in a real headless Chromium: every page, every action, live, without a request to anywhere else.

Skipped with a reason where there is no Chromium or no playwright. Pictures are kept in the folder that
TOUCHSTONE_SCREENSHOTS names.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests_history import CONFIG, START, Life, bad, good, live_through, living

from experiments.drains import DrainStore
from experiments.model import Phase
from experiments.operating import Command, operate
from experiments.telling.escalation import Event, Severity
from experiments.telling.incidents import incident_log
from router.admin.app import build_admin
from router.admin.tokens import Role, create_token
from router.fakes.server import serving

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra dev")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    # What playwright leaves to the garbage collector is its own affair.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
PAGES = {
    "overview": "/",
    "experiment": "/experiments/support",
    "pairs": "/experiments/support/pairs?metric=agreement",
    "replay": "/experiments/support/replay",
    "backends": "/backends",
    "incidents": "/incidents",
    "audit": "/audit",
    "not-found": "/nowhere",
}
WIDTHS = {"light": (1280, 900), "dark": (1280, 900), "phone": (390, 844)}


@pytest.fixture(name="browser", scope="module")
def _browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(name="life", scope="module")
def _life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with living(tmp_path_factory.mktemp("life")) as life:
        live_through(life, bad)
        yield life


@pytest.fixture(name="url", scope="module")
def _url(life: Life) -> Iterator[str]:
    with serving(build_admin(life.config, life.store)) as url:
        yield url


class Visit:
    """A page that is looked at, with everything that went wrong on it."""

    def __init__(self, browser: Any, mode: str = "light") -> None:
        self.context = browser.new_context()
        self.page = self.context.new_page()
        self.as_in(mode)
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._note)

    def _note(self, message: Any) -> None:
        if message.type == "error" and "404" not in message.text:
            self.errors.append(message.text)

    def as_in(self, mode: str) -> None:
        width, height = WIDTHS[mode]
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme="dark" if mode == "dark" else "light")

    def open(self, url: str) -> Any:
        self.page.goto(url)
        self.page.wait_for_load_state("load")
        return self.page

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


def keep(page: Any, name: str) -> None:
    folder = os.environ.get("TOUCHSTONE_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_asks_nobody_else_and_is_accessible(browser: Any, url: str, name: str) -> None:
    axe_module = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe, of the extra dev")
    with Visit(browser) as visit:
        page = visit.open(url + PAGES[name])
        for mode in WIDTHS:
            visit.as_in(mode)
            if name == "experiment":
                page.wait_for_selector(".main-svg")
            results = axe_module.Axe().run(page, options={"resultTypes": ["violations"]})
            keep(page, f"{name}-{mode}")
            serious = [
                (found["id"], [node["html"][:200] for node in found["nodes"]][:3])
                for found in results.response["violations"]
                if found["impact"] in {"serious", "critical"}
            ]
            assert serious == [], mode
            wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
            assert not wide, "nothing has to be scrolled sideways but tables"

    assert visit.errors == []
    assert {asked for asked in visit.asked if not asked.startswith((url, "data:", "blob:"))} == set()


def test_figures_are_drawn_and_another_metric_can_be_chosen_by_keyboard(browser: Any, url: str) -> None:
    with Visit(browser) as visit:
        page = visit.open(f"{url}/experiments/support")
        page.wait_for_selector("#over-time-0-figure .main-svg")
        page.focus("select#metric")
        page.keyboard.press("ArrowDown")
        page.wait_for_selector("#over-time-1-figure .main-svg")

        assert page.is_hidden("#over-time-0-figure")
        assert page.is_visible("#over-time-1-figure")
        assert page.locator("#forest-quality-figure .main-svg").count() > 0


def test_the_theme_is_the_systems_until_somebody_chooses_and_then_stays(browser: Any, url: str) -> None:
    with Visit(browser, "dark") as visit:
        page = visit.open(f"{url}/")
        ground = "getComputedStyle(document.body).backgroundColor"
        dark = page.evaluate(ground)
        page.click("[data-theme-toggle]")
        light = page.evaluate(ground)
        page.reload()

        assert dark != light
        assert page.evaluate(ground) == light


@pytest.fixture(name="running")
def _running(tmp_path: Path) -> Iterator[tuple[Life, str]]:
    with living(tmp_path) as life:
        life.controller.start(START)
        with serving(build_admin(life.config, life.store)) as url:
            yield life, url


def test_every_action_names_its_consequence_asks_for_a_reason_and_is_carried_out(browser: Any, running: Any) -> None:
    life, url = running
    expected = [
        ("pause", Phase.PAUSED, "original serves everyone within a second"),
        ("resume", Phase.RUNNING, "int4 serves the share of stage 1"),
        ("advance", Phase.RUNNING, "int4 serves the share of stage 2 of 2 at once"),
        ("promote", Phase.PROMOTED, "int4 serves everyone (now 50 %)"),
        ("rollback", Phase.ROLLED_BACK, "original serves everyone within a second"),
    ]
    with Visit(browser) as visit:
        page = visit.open(f"{url}/experiments/support")
        for command, phase, consequence in expected:
            page.click(f"#do-{command}")
            assert page.inner_text("dialog [data-consequence]").startswith(consequence)
            page.click("[data-confirm]")
            assert page.is_visible("dialog"), "without a reason nothing is done"
            page.fill("dialog textarea", f"because of {command}")
            page.click("[data-confirm]")
            page.wait_for_selector("dialog", state="hidden")
            words = phase.value.replace("_", " ")
            page.wait_for_selector(f"#verdict .pill:text-is('{words}')")
            page.wait_for_selector(f"#do-{command}", state="detached")
            assert life.store.route_states()["support"].route.phase is phase

    done = life.store.transitions("support")
    assert [transition.reason for transition in done[1:]] == [f"because of {command}" for command, *_ in expected]
    assert visit.errors == []


def test_a_stop_ends_it_and_leaves_nothing_to_do(browser: Any, running: Any) -> None:
    life, url = running
    with Visit(browser) as visit:
        page = visit.open(f"{url}/experiments/support")
        page.click("#do-stop")
        page.fill("dialog textarea", "not needed any more")
        page.click("[data-confirm]")
        page.wait_for_selector("#verdict .pill:text-is('stopped')")

        assert page.locator("button[data-action]").count() == 0
    assert life.store.transitions("support")[-1].reason == "not needed any more"


def test_an_action_that_is_refused_says_why_and_nothing_happens(browser: Any, running: Any) -> None:
    life, url = running
    with Visit(browser) as visit:
        page = visit.open(f"{url}/experiments/support")
        page.click("#do-pause")
        experiment = life.config.experiments["support"]
        operate(life.store, experiment, Command.STOP, actor="bala", reason="quicker", now=START)
        page.fill("dialog textarea", "too late")
        page.click("[data-confirm]")
        page.wait_for_selector("dialog [data-trouble]:has-text('stopped')")

    assert life.store.transitions("support")[-1].reason == "quicker"


def test_a_drain_and_an_incident_are_acted_on_from_their_pages(browser: Any, life: Life, url: str) -> None:
    with Visit(browser) as visit:
        page = visit.open(f"{url}/backends")
        page.click("#drain-2")
        page.fill("dialog textarea", "the machine goes away")
        page.click("[data-confirm]")
        page.wait_for_selector("text=the machine goes away")

        happened = Event(key="support/1/x/0", severity=Severity.CRITICAL, at=time.time(), title="It is rolled back")
        incident_log(life.store).record([happened])
        page = visit.open(f"{url}/incidents")
        page.click("#acknowledge-1")
        page.fill("dialog textarea", "I look into it")
        page.click("[data-confirm]")
        page.wait_for_selector("text=Nothing waits for anybody")

    assert [drain.backend for drain in life.store.drains()] == ["int4"]
    assert [one.reason for one in incident_log(life.store).acknowledgements()] == ["I look into it"]
    DrainStore(life.store.engine).lift("int4", at=life.now, actor="test")


def test_what_happens_appears_by_itself_and_what_was_opened_stays_open(browser: Any, running: Any) -> None:
    life, url = running
    with Visit(browser) as visit:
        page = visit.open(f"{url}/experiments/support")
        page.wait_for_selector(".live[data-state=stale], .live[data-state=live]")
        page.click("#checks summary")
        live_through(life, bad)
        page.wait_for_selector("#verdict .pill:has-text('rolled back')", timeout=15_000)

        assert page.get_attribute("#checks", "open") is not None
        assert "does harm" in page.inner_text("#verdict")
    assert visit.errors == []


def test_a_lost_connection_is_said_and_so_is_a_controller_that_does_not_look(browser: Any, tmp_path: Path) -> None:
    with living(tmp_path) as life, Visit(browser) as visit:
        life.controller.start(START)
        with serving(build_admin(life.config, life.store)) as url:
            page = visit.open(f"{url}/")
            page.wait_for_selector(".live[data-state=stale]")
            assert re.match("Stale: the controller has not looked for", page.inner_text(".live"))
        page.wait_for_selector(".live[data-state=lost]", timeout=20_000)
        assert page.inner_text(".live").startswith("Connection lost; what you see is of")


def test_a_token_is_shown_once_and_a_reader_is_told_that_he_may_not_act(browser: Any, tmp_path: Path) -> None:
    text = CONFIG.replace("[router]", '[router]\nadmin_tokens = "tokens"')
    with living(tmp_path, text) as life, serving(build_admin(life.config, life.store)) as url, Visit(browser) as visit:
        live_through(life, good, ticks=1)
        token = create_token(tmp_path / "tokens", "asha", Role.READ)
        page = visit.open(f"{url}/experiments/support")
        page.fill("#token", "guess")
        page.click("button[type=submit]")
        page.wait_for_selector("text=unknown or has expired")
        page.fill("#token", token)
        page.click("button[type=submit]")
        page.wait_for_selector("h1:has-text('Experiments')")
        page.goto(f"{url}/experiments/support")
        page.click("#do-pause")
        page.fill("dialog textarea", "I may not")
        page.click("[data-confirm]")
        page.wait_for_selector("dialog [data-trouble]:has-text('role read')")
        page.click("[data-cancel]")
        page.click("[data-logout]")
        page.wait_for_selector("h1:has-text('Log in')")
        assert "Log in" in visit.open(f"{url}/experiments/support").inner_text("h1"), "the session is over"
