"""Chunks: same results with any number of workers; streams keyed by seed, name and patient."""

import math

import numpy as np
import pytest

from ahsct.chunks import random_stream, run_chunks
from ahsct.errors import RequestError


def test_results_come_in_order_with_one_and_two_workers() -> None:
    assert list(run_chunks(math.isqrt, 5, workers=1)) == [0, 1, 1, 1, 2]
    assert list(run_chunks(math.isqrt, 5, workers=2)) == [0, 1, 1, 1, 2]
    assert list(run_chunks(math.isqrt, 0)) == []


def test_a_failing_chunk_raises_its_own_error() -> None:
    with pytest.raises(ValueError, match="nonnegative"):
        list(run_chunks(_fail, 2, workers=2))


def _fail(index: int) -> int:
    return math.isqrt(index - 1)


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "http://127.0.0.1:1", "tcp://example.org:8786"])
def test_open_schedulers_are_refused(address: str) -> None:
    with pytest.raises(RequestError, match="only tls://"):
        next(run_chunks(math.isqrt, 1, scheduler=address))


def test_streams_repeat_and_differ() -> None:
    draw = random_stream(3, stream="relapse", patient=5).random(4)
    assert np.array_equal(draw, random_stream(3, stream="relapse", patient=5).random(4))
    others = [(4, "relapse", 5), (3, "lesion", 5), (3, "relapse", 6)]
    for seed, stream, patient in others:
        assert not np.array_equal(draw, random_stream(seed, stream=stream, patient=patient).random(4))


def test_neighbouring_patients_share_no_number() -> None:
    # Philox counts up by one per four words: the patient sits in a higher word of the counter
    first = random_stream(3, stream="s", patient=0).random(10_000)
    second = random_stream(3, stream="s", patient=1).random(10_000)
    assert not set(first) & set(second)
