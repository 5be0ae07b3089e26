"""Curves side by side: each arm against the reference arm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from scipy.special import ndtr

from ahsct.errors import RequestError, did_you_mean
from ahsct.estimates._curve import Curve


def against_reference(curves: Iterable[Curve], reference_arm: str) -> Iterator[tuple[Curve, Curve]]:
    """Yield each curve of another arm with the curve of the reference arm that has the same other labels.

    Raises
    ------
    RequestError
        Among curves of the same labels none is of the reference arm, or it is alone.
    """
    sets: dict[tuple[object, ...], list[Curve]] = {}
    for one in curves:
        labels = tuple(value for name, value in one.labels.items() if name != "arm")
        sets.setdefault(
            (labels, one.cause, one.method.removesuffix(", delayed entry"), one.conf_level), []
        ).append(one)
    for members in sets.values():
        arms = [str(one.labels["arm"]) for one in members]
        if reference_arm not in arms or len(arms) < 2:
            raise RequestError(
                f"A comparison needs the curves of arm {reference_arm!r} and of another; the arms are "
                f"{', '.join(map(repr, arms))}.{did_you_mean(reference_arm, arms)}"
            )
        reference = members[arms.index(reference_arm)]
        yield from ((one, reference) for one in members if one is not reference)


def two_sided(estimate: float, std_error: float) -> float | None:
    """Return the normal two-sided p-value of 0, or None without an error."""
    return float(2 * ndtr(-abs(estimate) / std_error)) if std_error > 0 else None


def one_sided_error(errors: Mapping[str, float], see: str) -> str | None:
    """Return the note of a normal comparison where one arm's estimated error is 0, None where none or every one is.

    An arm without events (or with nothing but events) is not known without error: its normal error is 0 only because
    nothing in it varied.

    Examples
    --------
    >>> one_sided_error({"HSCT": 0.0, "control": 0.1}, "see the melded row")
    'no error can be estimated in HSCT: limits and p are of the other arm alone and claim too much; see the melded row'
    >>> one_sided_error({"HSCT": 0.2, "control": 0.1}, "see the melded row")
    """
    without = [arm for arm, error in errors.items() if error == 0]
    if len(without) != 1:
        return None
    return f"no error can be estimated in {without[0]}: limits and p are of the other arm alone and claim too much; {see}"
