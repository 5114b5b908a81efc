"""The grid's intensity: a figure with its source, read from the data of CodeCarbon and from nowhere else."""

import subprocess
import sys
from pathlib import Path

import pytest

from experiments.scoring import grid
from experiments.scoring.grid import GridError, grid_intensity

needs_data = pytest.mark.skipif(not grid.is_installed(), reason="needs the extra `carbon` (codecarbon)")


@needs_data
def test_a_country_has_a_figure_and_its_source() -> None:
    india, france = grid_intensity("IND"), grid_intensity("FRA")

    assert 500 < india.g_per_kwh < 900, "mostly coal"
    assert 20 < france.g_per_kwh < 120, "mostly nuclear"
    assert india.source.startswith("CodeCarbon ")
    assert india.source.endswith(", India, 2023")


@needs_data
@pytest.mark.parametrize("country", ["ind", "IN", "XXX", ""])
def test_what_is_no_code_has_none(country: str) -> None:
    with pytest.raises(GridError) as caught:
        grid_intensity(country)

    assert caught.value.rule.startswith("is no country that there is a figure for")
    assert "IND" in caught.value.known


@needs_data
def test_codecarbon_itself_is_not_imported() -> None:
    """Its import would load pandas, and start what measures this machine."""
    code = "import sys; from experiments.scoring.grid import grid_intensity; grid_intensity('IND'); print(*sys.modules)"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert not {"codecarbon", "pandas"} & set(said.stdout.split())


def test_without_the_data_the_missing_extra_is_named(tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        with pytest.raises(GridError, match=r"pip install 'touchstone-router\[carbon\]'"):
            grid.read_mix(folder)
