"""Linear mixed model with one grouping factor: exact standard errors, Satterthwaite and Kenward-Roger df.

The covariance of a group is V = s2 (I + Z L L' Z') with L lower triangular and s2 the residual
variance, as in lme4. All that the likelihood and its derivatives need of a group are the small
products Z'Z, Z'X and Z'y, so that the work grows with the number of groups and not with its square.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ahsct.errors import RequestError
from ahsct.estimates import _linear_tests as tests
from ahsct.estimates._linear_tests import FTest, Precision
from ahsct.estimates._mixed_likelihood import (
    derivatives,
    kenward_roger_of,
    lower,
    sum_up,
)
from ahsct.estimates._mixed_search import minimise_deviance

Array = npt.NDArray[np.float64]

_BOUNDARY = 1e-9  # smallest eigenvalue of the scaled random covariance (over s2) that is not taken as 0


@dataclass(frozen=True, kw_only=True)
class MixedModel:
    """A fitted model. Coefficients have the unit of y over that of their column of X.

    `covariance` is that of the coefficients (p x p), `random_covariance` that of the random
    coefficients between groups (q x q), `log_likelihood` the restricted one (the full one of a fit
    with `reml=False`, which has no Kenward-Roger adjustment).
    """

    coefficients: Array
    covariance: Array
    random_covariance: Array
    residual_variance: float
    log_likelihood: float
    n: int
    n_groups: int
    is_boundary: bool  # a random coefficient has no variance, or two are in line
    satterthwaite: Precision
    kenward_roger: Precision | None

    def contrast(
        self, weights: npt.ArrayLike, *, df_method: str = "satterthwaite"
    ) -> tuple[float, float, float]:
        """Return estimate, standard error and degrees of freedom of `weights` @ coefficients."""
        return tests.contrast(self.coefficients, self._precision(df_method), weights)

    def f_test(self, weights: npt.ArrayLike, *, df_method: str = "kenward-roger") -> FTest:
        """Test that the rows of `weights` (r x p) @ coefficients are all zero."""
        return tests.f_test(self.coefficients, self._precision(df_method), weights, df_method=df_method)

    def _precision(self, df_method: str) -> Precision:
        if tests.require_df_method(df_method) == "satterthwaite":
            return self.satterthwaite
        if self.kenward_roger is None:
            raise RequestError("Kenward-Roger degrees of freedom need a fit by restricted likelihood.")
        return self.kenward_roger


def linear_mixed_model(
    y: npt.ArrayLike,
    X: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    Z: npt.ArrayLike | None = None,
    is_correlated: bool = True,
    reml: bool = True,
) -> MixedModel:
    r"""Fit y = X b + Z u + e by restricted maximum likelihood, u independent between groups.

    Parameters
    ----------
    y
        One value per row (n).
    X
        Columns of the fixed coefficients (n x p), the intercept among them.
    group
        The group (patient) of each row (n).
    Z
        Columns of the random coefficients (n x q); a random intercept when missing. For a random
        intercept and slope: a column of ones beside the times.
    is_correlated
        The random coefficients of a group are freely correlated; false: independent (as `||` in R).
        Without correlation the answer depends on where the times have their zero.
    reml
        False: full maximum likelihood, to compare models that differ in X.

    Raises
    ------
    TableError
        A value is missing, the columns of X depend on each other, there are fewer than two groups
        or no group has two rows, or the values lie exactly on the fitted lines, so that no residual
        variance can be estimated.

    References
    ----------
    Bates et al. (2015), doi:10.18637/jss.v067.i01 (parametrisation); Kuznetsova et al. (2017),
    doi:10.18637/jss.v082.i13 (degrees of freedom).
    R: lmer(y ~ X - 1 + (Z - 1 | group), REML = TRUE), lme4 1.1.31, lmerTest 3.1.3, pbkrtest 0.5.2.

    Examples
    --------
    Balanced groups, so that the answer is that of the analysis of variance: group means 2, 4, 9 of
    two values each, mean squares 26 between and 2 within; the grand mean 5 has variance 26 / 6.

    >>> fit = linear_mixed_model([1, 3, 3, 5, 8, 10], np.ones((6, 1)), ["a", "a", "b", "b", "c", "c"])
    >>> estimate, std_error, df = fit.contrast([1])
    >>> round(estimate, 6), round(std_error**2, 6), round(df, 6), round(fit.residual_variance, 6)
    (5.0, 4.333333, 2.0, 2.0)
    """
    sums = sum_up(y, X, group, Z, is_correlated=is_correlated, is_restricted=reml)
    theta = minimise_deviance(sums)
    at = derivatives(sums, theta)
    back = np.asarray(np.linalg.inv(sums.r) * sums.y_scale, dtype=np.float64)
    covariance = back @ at.covariance @ back.T
    parameters = np.linalg.eigh(at.hessian)
    positive = parameters.eigenvalues > 1e-8 * parameters.eigenvalues.max()
    vectors = parameters.eigenvectors[:, positive]
    loading = np.linalg.solve(sums.z_root, lower(sums, theta)) * sums.y_scale
    log_likelihood = -0.5 * float(at.deviance) - sums.freedom * math.log(sums.y_scale)
    if reml:
        log_likelihood -= float(np.log(np.abs(np.diag(sums.r))).sum())
    return MixedModel(
        coefficients=sums.fitted + back @ at.coefficients,
        covariance=covariance,
        random_covariance=at.variance * (loading @ loading.T),
        residual_variance=float(at.variance) * sums.y_scale**2,
        log_likelihood=log_likelihood,
        n=sums.n,
        n_groups=sums.n_groups,
        is_boundary=bool(np.linalg.svd(lower(sums, theta), compute_uv=False)[-1] ** 2 < _BOUNDARY),
        satterthwaite=Precision(
            covariance=covariance,
            plain=covariance,
            gradient=back @ at.covariance_gradient @ back.T,
            parameter_covariance=2 * (vectors / parameters.eigenvalues[positive]) @ vectors.T,
        ),
        kenward_roger=tests.transformed(kenward_roger_of(sums, theta), back) if reml else None,
    )
