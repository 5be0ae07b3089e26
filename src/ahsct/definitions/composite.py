"""Composite endpoints and their estimands (ICH E9(R1)): what happens at each intercurrent event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ahsct.definitions.rules import strictly
from ahsct.errors import DefinitionError

INTERCURRENT_EVENTS = ("treatment_death", "other_death", "dmt_restart", "second_transplant", "rescue")

_ALLOWED = {
    "composite": ("event",),
    "treatment_policy": ("ignore",),
    "while_alive": ("competing",),
    "hypothetical": ("censor",),
    "as_published_exclusion": ("exclude", "censor"),
}


@dataclass(frozen=True, kw_only=True)
class Handling:
    """One strategy for one intercurrent event, and what it does to the data."""

    strategy: Literal[
        "composite",
        "treatment_policy",
        "while_alive",
        "hypothetical",
        "principal_stratum",
        "as_published_exclusion",
    ]
    handling: Literal["event", "ignore", "competing", "censor", "exclude"]
    assumption: str | None = None

    def __post_init__(self) -> None:
        if self.strategy == "principal_stratum":
            raise DefinitionError(
                "principal_stratum is refused: the stratum of those who would survive either way cannot be "
                "seen in these data. Use composite, while_alive or hypothetical with a named assumption."
            )
        allowed = _ALLOWED[self.strategy]
        if self.handling not in allowed:
            raise DefinitionError(
                f"strategy {self.strategy!r} goes with handling {' or '.join(allowed)}, not {self.handling!r}."
            )
        if self.strategy == "hypothetical" and not self.assumption:
            raise DefinitionError(
                "strategy 'hypothetical' needs an `assumption`, which is printed with the result."
            )


@dataclass(frozen=True, kw_only=True)
class Estimand:
    """One way of counting: its population and the handling of each intercurrent event."""

    id: str
    label: str
    population: Literal["enrolled", "mobilised", "infused"]
    treatment_death: Handling
    other_death: Handling
    dmt_restart: Handling
    second_transplant: Handling
    rescue: Handling

    def __post_init__(self) -> None:
        for event in ("treatment_death", "other_death"):
            if self.handling(event).handling == "ignore":
                raise DefinitionError(
                    f"estimand {self.id!r}: {event} cannot be ignored (treatment policy); nobody is followed after death."
                )

    def handling(self, event: str) -> Handling:
        """Return the handling of one of `INTERCURRENT_EVENTS`."""
        found = getattr(self, event)
        assert isinstance(found, Handling)
        return found

    @property
    def is_estimand(self) -> bool:
        """False when any event is handled as published by exclusion: that answers no causal question."""
        return all(self.handling(event).strategy != "as_published_exclusion" for event in INTERCURRENT_EVENTS)

    @property
    def counts_everyone(self) -> bool:
        """True when both kinds of death are events."""
        return all(self.handling(event).handling == "event" for event in ("treatment_death", "other_death"))


@dataclass(frozen=True, kw_only=True)
class MissingAssessments:
    """What missing visits or scans do: never "no event".

    `censor_at_last_complete`: follow-up ends at the last day on which every component had been
    assessed without a gap longer than `max_gap_days` (missing = no limit). `interval`: the event
    lies in (last negative, detection]. `not_evaluable`: such patients leave, counted. `impute`:
    refused until a rule is stated.

    `covers_days`: an assessment speaks for so many days after it, for everybody alike. Patients
    without an event stay at risk that long after the earliest last assessment of a component (but
    no longer than their last contact), and later events do not count. Missing: patients without an
    event leave at that assessment while later events count, which is too pessimistic wherever one
    component is followed longer than another.

    `scheduled_only`: visits of type `unscheduled` or `relapse` find events but do not lengthen the
    follow-up, because patients who are well do not come to them.
    """

    rule: Literal["censor_at_last_complete", "interval", "not_evaluable", "impute"] = (
        "censor_at_last_complete"
    )
    max_gap_days: int | None = None
    covers_days: int | None = None
    scheduled_only: bool = False


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A composite (or single) time-to-event endpoint.

    `components` are names of events: `relapse`, `mri_activity`, `<measure>_worsening`,
    `<measure>_improvement`, `death`; `estimands` are ids of the definition's estimands.
    """

    id: str
    label: str
    components: tuple[str, ...]
    estimands: tuple[str, ...]
    missing: MissingAssessments = field(default_factory=MissingAssessments)

    def __post_init__(self) -> None:
        if not self.components or not self.estimands:
            raise DefinitionError(
                f"endpoint {self.id!r} needs one or more components and one or more estimands."
            )


strictly(Handling, Estimand, MissingAssessments, Endpoint)
