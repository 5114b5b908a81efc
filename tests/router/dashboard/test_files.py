"""Scripts and styles: compressed, told apart by their content, and none from outside of their folder."""

import gzip
import re
from importlib.resources import files

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from router.dashboard.files import static_file


@pytest.fixture(name="client", scope="module")
def _client() -> TestClient:
    return TestClient(Starlette(routes=[Route("/static/{name}", static_file)]))


def test_a_file_comes_once_and_then_by_its_tag(client: TestClient) -> None:
    first = client.get("/static/style.css")
    again = client.get("/static/style.css", headers={"if-none-match": first.headers["etag"]})

    assert (first.status_code, first.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert (again.status_code, again.content) == (304, b"")


def test_whoever_takes_no_compressed_answer_gets_the_same_plain(client: TestClient) -> None:
    plain = client.get("/static/live.js", headers={"accept-encoding": "identity"})
    small = client.get("/static/live.js", headers={"accept-encoding": "gzip"})

    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert small.content == plain.content
    assert gzip.compress(plain.content, 6, mtime=0) != plain.content


def test_the_charts_script_comes_from_the_python_package(client: TestClient) -> None:
    found = client.get("/static/plotly.js")

    assert len(found.content) > 1_000_000
    assert found.headers["content-type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize("name", ["nothing.js", "..%2fapp.py", "%2e%2e", "app.py", "style", "plotly.css"])
def test_nothing_else_is_there(client: TestClient, name: str) -> None:
    assert client.get(f"/static/{name}").status_code == 404


def test_every_script_imports_only_its_neighbours() -> None:
    scripts = [entry for entry in files("router.dashboard").joinpath("static").iterdir() if entry.name.endswith(".js")]
    names = {script.name for script in scripts}

    for script in scripts:
        found = re.findall(r'from "([^"]+)"', script.read_text())
        assert {name.removeprefix("./") for name in found} <= names
        assert not re.search(r"https?://|eval\(|innerHTML = [^n]", script.read_text())
