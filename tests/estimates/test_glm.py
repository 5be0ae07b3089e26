"""The regressions behind weights and rates: by hand, far-off columns, separation."""

import math

import numpy as np
import pytest

from ahsct.errors import RequestError
from ahsct.estimates._glm import log_linear, logistic, separating_direction


def test_two_groups_by_hand() -> None:
    """3 of 4 and 1 of 5: log odds ratio log(3 / (1/4)), its variance 1/3 + 1 + 1 + 1/4."""
    y = np.array([1.0, 1, 1, 0, 1, 0, 0, 0, 0])
    x = np.column_stack([np.ones(9), np.repeat([1.0, 0.0], [4, 5])])
    fit = logistic(y, x)
    assert fit.coefficients == pytest.approx([math.log(1 / 4), math.log(12)], rel=1e-10)
    assert fit.covariance[1, 1] == pytest.approx(1 / 3 + 1 + 1 + 1 / 4, rel=1e-10)
    rates = log_linear(y, x, offset=np.log(np.repeat([2.0, 0.5], [4, 5])))
    # 3 events in 8 years against 1 in 2.5
    assert np.exp(rates.coefficients) == pytest.approx([1 / 2.5, (3 / 8) / (1 / 2.5)], rel=1e-10)
    assert rates.covariance[1, 1] == pytest.approx(1 / 3 + 1, rel=1e-10)


def test_columns_far_from_zero_keep_their_digits() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(0, 3, 200)
    y = (rng.random(200) < 1 / (1 + np.exp(-0.4 * x))).astype(float)
    near = logistic(y, np.column_stack([np.ones(200), x]))
    far = logistic(y, np.column_stack([np.ones(200), x + 20_160]))
    assert far.coefficients[1] == pytest.approx(near.coefficients[1], rel=1e-9)
    assert far.covariance[1, 1] == pytest.approx(near.covariance[1, 1], rel=1e-8)
    counts = rng.poisson(np.exp(0.1 * x)).astype(float)
    near = log_linear(counts, np.column_stack([np.ones(200), x]), dispersion=0.5)
    far = log_linear(counts, np.column_stack([np.ones(200), x + 20_160]), dispersion=0.5)
    assert far.coefficients[1] == pytest.approx(near.coefficients[1], rel=1e-9)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_separation_is_seen_at_every_scale(scale: float) -> None:
    x = np.column_stack([np.ones(4), scale * np.array([1.0, 2, 3, 4])])
    assert separating_direction(x, np.array([-1.0, -1, 1, 1])) is not None
    assert separating_direction(x, np.array([-1.0, 1, -1, 1])) is None
    # almost: one value has both outcomes
    quasi = np.column_stack([np.ones(4), scale * np.array([1.0, 2, 2, 4])])
    assert separating_direction(quasi, np.array([-1.0, -1, 1, 1])) is not None
    with pytest.raises(RequestError, match="separate the two outcomes"):
        logistic(np.array([0.0, 0, 1, 1]), quasi)
    # rates: a group without events may fall for ever, one with events not
    group = np.column_stack([np.ones(4), scale * np.array([0.0, 0, 1, 1])])
    assert separating_direction(group, np.array([0.0, 0, -1, -1])) is not None
    assert separating_direction(group, np.array([0.0, -1, 0, -1])) is None
