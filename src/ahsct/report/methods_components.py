"""The sentences of the methods text on what only some endpoints are made of."""

from __future__ import annotations

from collections.abc import Iterator

from ahsct.definitions import BrainVolumeLossRule, CombinedRule, Definition
from ahsct.report.formats import and_list
from ahsct.report.words import MEASURES, words

_CONFIRMED_BY = {
    "same_measure": "Each measure confirms its own worsening.",
    "any_measure": (
        "A visit at which any of them is worse than its baseline, by its own threshold, confirms the worsening of "
        "any other."
    ),
}
_ASSESSED_WHEN = {
    "all_measured": "A visit without a worsening is negative only where all of them were taken",
    "any_measured": "A visit without a worsening is negative where any of them was taken",
}


def component_sentences(definition: Definition) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (sentence, fields) on combined worsening and on loss of brain volume.

    Examples
    --------
    >>> from ahsct.definitions import load_definition
    >>> [text for text, _ in component_sentences(load_definition("neda3"))]
    ['No measures of disability are combined.', 'Loss of brain volume is no component.']
    """
    if not definition.combined:
        yield "No measures of disability are combined.", ("combined",)
    for combined in definition.combined:
        yield _combined(combined), (f"combined.{combined.id}",)
    if definition.brain_volume_loss is None:
        yield "Loss of brain volume is no component.", ("brain_volume_loss",)
    else:
        yield from _loss(definition.brain_volume_loss)


def _combined(rule: CombinedRule) -> str:
    names = and_list([MEASURES.get(measure, words(measure)) for measure in rule.measures])
    return (
        f"{rule.label}: worsening of any of {names}. {_CONFIRMED_BY[rule.confirmed_by]} "
        f"{_ASSESSED_WHEN[rule.assessed_when]}, on one day."
    )


def _loss(rule: BrainVolumeLossRule) -> Iterator[tuple[str, tuple[str, ...]]]:
    limit = {
        "annualised": f"more than {rule.max_loss_pct_per_year or 0:g} % a year, the loss since the re-baseline over the "
        "time since then",
        "fixed": f"more than {rule.max_loss_pct or 0:g} % in all",
        "age_norm": "more a year than the limit of healthy ageing at the age in the middle of the interval "
        f"(norm {words(rule.norm or '')}: its 95th percentile, or its mean and 1.96 standard deviations), within "
        "its published ages only",
    }[rule.criterion]
    yield (
        f"Loss of brain volume ({rule.measure}) counts from the re-baseline volume alone, picked by the window of the "
        f"MRI re-baseline; it is an event when it is {limit}.",
        tuple(
            f"brain_volume_loss.{name}"
            for name in ("measure", "criterion", "max_loss_pct_per_year", "max_loss_pct", "norm")
        ),
    )
    yield (
        f"A volume less than {rule.min_interval_days} days after the re-baseline is not judged; a patient with fewer "
        f"than {rule.min_volumes_n} comparable volumes after it is not evaluable.",
        ("brain_volume_loss.min_interval_days", "brain_volume_loss.min_volumes_n"),
    )
