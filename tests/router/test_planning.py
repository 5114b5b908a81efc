"""What `touchstone plan` shows of the shipped configuration, and of a file of expectations that cannot be used."""

from pathlib import Path

import msgspec
import pytest
from tests_history import write_config

from experiments.config import load
from router.planning import TrafficFileError, plan, read_traffic

ROOT = Path(__file__).parents[2]
ENOUGH = "requests_per_day = 2000\nunits_per_day = 1000\n"


def test_the_plan_of_the_shipped_configuration_is_the_one_on_file() -> None:
    """Written by `touchstone plan -t examples/traffic.toml -e web-8bit`; read it before you renew it."""
    config = load(ROOT / "config.toml")
    wanted = (Path(__file__).parent / "plan_of_web-8bit.txt").read_text(encoding="utf-8")

    shown = plan(config, [config.experiments["web-8bit"]], read_traffic(ROOT / "examples/traffic.toml"))

    assert [str(part) for part in shown.parts] == wanted.splitlines()


def test_as_data_a_plan_has_its_figures_and_a_code_for_each_warning(tmp_path: Path) -> None:
    config = load(write_config(tmp_path))
    (tmp_path / "traffic.toml").write_text(ENOUGH + "error_rate = 0.01\ninput_tokens = 100\noutput_tokens = 100\n")

    shown = plan(config, list(config.experiments.values()), read_traffic(tmp_path / "traffic.toml"))
    [made] = msgspec.json.decode(shown.json())

    assert made["experiment"] == "support"
    assert made["flow"] == {"units_per_day": 1000, "requests_per_unit": 2, "paired_units_per_day": 1000}
    assert made["mirror"]["usd_per_day"] == pytest.approx(2000 * (0.5 * 200 * 0.5 + 0.5 * 200 * 1.0) / 1e6)
    assert {caution["code"] for caution in made["cautions"]} >= {"cannot_tell"}
    events = [row for row in made["metrics"] if row["metric"] == "errors" and row["question"] == "events"]
    assert events[0]["wait"]["median_units"] > 0


def test_several_experiments_are_planned_one_after_the_other_under_the_same_traffic(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    text = path.read_text(encoding="utf-8")
    twin = text[text.index("[experiments.support]") :].replace("experiments.support", "experiments.twin")
    path.write_text(text + twin.replace('model = "support"', 'model = "twin"'), encoding="utf-8")
    config = load(path)
    (tmp_path / "traffic.toml").write_text(ENOUGH)

    shown = plan(config, list(config.experiments.values()), read_traffic(tmp_path / "traffic.toml"))

    said = [str(part) for part in shown.parts]
    assert said[0] == "the same traffic is taken for each of 2 experiments; choose one with --experiment"
    assert [line.partition(":")[0] for line in said if "new units a day" in line] == ["support", "twin"]


def test_several_treatments_of_one_experiment_divide_its_traffic(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    text = path.read_text(encoding="utf-8").replace('treatment = "int4"', 'treatments = ["int4", "int8"]')
    path.write_text(text + '\n[backends.int8]\nurl = "http://127.0.0.1:9"\n', encoding="utf-8")
    config = load(path)
    (tmp_path / "traffic.toml").write_text(ENOUGH)

    shown = plan(config, list(config.experiments.values()), read_traffic(tmp_path / "traffic.toml"))

    said = [str(part) for part in shown.parts]
    assert [line.split(" new")[0] for line in said if "new units a day" in line] == [
        "support.int4: 500",
        "support.int8: 500",
    ]
    assert said.count("assumed: 2 treatments divide the traffic equally; this one sees its part") == 2
    assert not any("the same traffic is taken" in line for line in said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\xff", "is no UTF-8"),
        (b"units_per_day = ", "no TOML: "),
        (b"units_per_day = 5", "requests_per_day: "),
        (b"requests_per_day = 5\nunits_per_day = 9", "units_per_day is above requests_per_day"),
        (ENOUGH.encode() + b"discordanse = 1", "discordanse: "),
    ],
)
def test_a_file_of_expectations_that_cannot_be_used_is_named_with_the_reason(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "traffic.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(TrafficFileError) as caught:
        read_traffic(path)

    assert all(line.startswith(f"{path}: ") for line in str(caught.value).splitlines())
    assert said in str(caught.value)
