"""Takes the screenshots of the documentation from the run that `make demo` has left: `make screenshots`.

It needs Chromium and playwright (of the extra dev); nothing is started but the pages themselves.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from experiments.config import load
from experiments.store import open_store
from router.admin.app import build_admin
from router.fakes.server import serving

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
SHOTS = {
    # file: page, width, height, colours
    "overview.png": ("/", 1280, 760, "light"),
    "experiment.png": ("/experiments/mobile-4bit", 1280, 1500, "light"),
    "experiment-dark.png": ("/experiments/web-8bit", 1280, 1100, "dark"),
    "pairs.png": ("/experiments/mobile-4bit/pairs", 1280, 760, "light"),
    "experiment-phone.png": ("/experiments/mobile-4bit", 390, 844, "light"),
}


def main() -> int:
    """Take all of them."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # of the extra dev

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    config = load(ROOT / "config.toml")
    store = open_store(config.router.database)
    IMAGES.mkdir(exist_ok=True)
    with serving(build_admin(config, store)) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (path, width, height, colours) in SHOTS.items():
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=colours)
            page.goto(url + path)
            page.wait_for_selector(".live[data-state=live], .live[data-state=stale]")
            if path.startswith("/experiments/") and not path.endswith("/pairs"):
                page.wait_for_selector(".main-svg")
            page.screenshot(path=str(IMAGES / name))
            page.close()
        browser.close()
    store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
