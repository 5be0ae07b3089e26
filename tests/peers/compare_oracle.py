"""The kernel gives what the independent search gives, on 40,000 random and hostile patients; run by `make test-peers`."""

import pytest
from tests.outcomes.test_disability_oracle import check_cohort

from ahsct.outcomes import disability_search


@pytest.mark.parametrize("block", range(20))
def test_kernel_equals_the_independent_search(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disability_search, "FEW_VISITS", -1)
    for seed in range(100):
        check_cohort(100_000 + 1000 * block + seed, n_patients=20)
