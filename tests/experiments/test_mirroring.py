"""The draw of the mirror: a pure function of the exchange's id, its slices and the route."""

from hypothesis import given
from hypothesis import strategies as st
from tests_builders import make_experiment

from experiments.config.records import Slice, Source
from experiments.mirroring import drawn, needs_prompt, percent_of
from router.timing import uuid7

PERCENT = st.floats(0, 100)
SLICES = st.dictionaries(st.sampled_from(["language", "tenant"]), st.sampled_from(["hi", "en", "acme"]))
MORE = st.dictionaries(st.sampled_from(["language=hi", "language=en", "tenant=acme", "tenant=hi"]), PERCENT)


def test_the_draws_of_new_exchanges_are_spread_evenly() -> None:
    draws = [drawn(uuid7()) for _ in range(20_000)]

    assert all(0 <= draw < 100 for draw in draws)
    # 7 standard deviations of a binomial share at 20,000 draws.
    assert all(abs(sum(draw < percent for draw in draws) / 20_000 - percent / 100) < 0.025 for percent in (1, 10, 50))


@given(PERCENT, SLICES, MORE)
def test_the_percentage_is_the_highest_that_holds_and_nothing_where_the_route_mirrors_nothing(
    route: float, slices: dict[str, str], more: dict[str, float]
) -> None:
    experiment = make_experiment(mirror_slices=more)
    having = [percent for slice_, percent in more.items() if slice_ in {f"{a}={v}" for a, v in slices.items()}]

    found = percent_of(experiment, route, slices)

    assert found == (max([route, *having]) if route else 0)


def test_only_slices_of_the_prompt_that_are_mirrored_more_need_the_prompt() -> None:
    slices = (
        Slice(attribute="language", source=Source(kind="prompt", name="language")),
        Slice(attribute="script", source=Source(kind="prompt", name="script")),
        Slice(attribute="tenant", source=Source(kind="header", name="tenant")),
    )
    more = {"language=hi": 50.0, "language=ta": 80.0, "tenant=acme": 90.0}

    assert needs_prompt(make_experiment(slices=slices, mirror_slices=more)) == ("language",)
    assert needs_prompt(make_experiment(slices=slices)) == ()
