"""Our numbers agree with those of the R packages that answer the same questions."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from tests.packages import counts, firth, illness_death, intervals, means, melding
from tests.packages.pairs import Pair, pair, read, values

from ahsct.estimates.mean_cumulative import mean_cumulative

FAMILIES = {
    "firth": (firth.compared, {"coxphf"}),
    "intervals": (intervals.compared, {"interval", "icenReg"}),
    "melding": (melding.compared, {"bpcp"}),
    "illness_death": (illness_death.compared, {"SmoothHazard"}),
    "means": (means.compared, {"reda", "survRM2"}),
    "counts": (counts.compared, {"exactci", "exact2x2", "rateratio.test"}),
}


@pytest.mark.parametrize(("compared", "packages"), FAMILIES.values(), ids=FAMILIES)
def test_agrees(compared: Callable[[], Iterator[Pair]], packages: set[str]) -> None:
    found = list(compared())
    assert {one.package for one in found} == packages
    for package in packages:
        assert len({one.data_set for one in found if one.package == package}) >= 3
    for one in found:
        assert one.difference <= one.required, one


def test_a_wrong_or_missing_number_is_seen() -> None:
    assert pair("x", "p", "d", [1.0, 2.0], [1.0, 2.0 + 3e-6], 1e-6).difference > 1e-6
    assert pair("x", "p", "d", [1.0, np.nan], [1.0, 2.0], 1e-6).difference == np.inf
    assert pair("x", "p", "d", [1.0, np.inf], [1.0, 2.0], 1e-6).difference == np.inf
    assert pair("x", "p", "d", [np.inf, np.nan], [np.inf, np.nan], 1e-6).difference == 0
    with pytest.raises(ValueError, match="beside"):
        pair("x", "p", "d", [], [], 1e-6)


@pytest.mark.parametrize("data_set", ["bili3", "ascites", "cav", "paq"])
def test_weibull_intensities_cannot_fit_worse_than_constant_ones(data_set: str) -> None:
    """SmoothHazard's own maximum, of which constant intensities are a part."""
    r = read("illness_death")
    weibull = values(r, data_set=data_set, what="weibull_loglik")[0]
    assert illness_death.fitted(data_set).loglik < weibull


def test_reda_takes_one_who_enters_on_the_day_of_an_event_as_at_risk() -> None:
    """Two watched from day 0, one event on day 5, the day on which a third enters: 1/2, but 1/3 in reda."""
    found = mean_cumulative([0, 0, 1, 2], [-np.inf, 5, -np.inf, 5], [5, 10, 10, 10], [1, 0, 0, 0])
    assert found.estimate[found.time == 5].tolist() == [1 / 2]
    assert values(read("means"), data_set="late", what="estimate").tolist() == [1 / 3]
