"""The trial that a comparison without randomisation tries to stand in for, printed with its result."""

from __future__ import annotations

from dataclasses import dataclass, fields

import polars as pl

from ahsct.estimates.arms import add_note
from ahsct.estimates.rows import result, results_frame

NOT_STATED = "not stated"


@dataclass(frozen=True, kw_only=True)
class ProtocolPart:
    """One part of the protocol: as the trial would have it, and as the data stand in for it.

    Examples
    --------
    >>> ProtocolPart(trial="at random").is_stated
    False
    """

    trial: str = ""
    emulation: str = ""

    @property
    def is_stated(self) -> bool:
        """Whether both sides say something."""
        return bool(self.trial.strip() and self.emulation.strip())


@dataclass(frozen=True, kw_only=True)
class TargetTrial:
    """Protocol of the target trial, part by part.

    `time_zero_treated` and `time_zero_comparator` name the moment from which each group is followed ("treatment
    decision", "infusion", ...). Where they differ, or differ from the moment at which patients became eligible, the
    groups are not comparable from the start, and every result says so.

    References
    ----------
    Hernan and Robins (2016), doi:10.1093/aje/kwv254.

    Examples
    --------
    >>> trial = TargetTrial(eligibility=ProtocolPart(trial="two relapses in two years", emulation="the same, from the registry"),
    ...                     time_zero_treated="infusion", time_zero_comparator="treatment decision")
    >>> trial.warnings()[0]
    'groups are followed from different moments (infusion; treatment decision): immortal time is possible'
    """

    eligibility: ProtocolPart = ProtocolPart()
    treatment_strategies: ProtocolPart = ProtocolPart()
    assignment: ProtocolPart = ProtocolPart()
    follow_up: ProtocolPart = ProtocolPart()
    outcome: ProtocolPart = ProtocolPart()
    causal_contrast: ProtocolPart = ProtocolPart()
    confounders: ProtocolPart = ProtocolPart()
    analysis: ProtocolPart = ProtocolPart()
    time_zero_treated: str = ""
    time_zero_comparator: str = ""
    eligible_from: str = ""

    def parts(self) -> dict[str, ProtocolPart]:
        """Return the parts of the protocol by name."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if isinstance(getattr(self, field.name), ProtocolPart)
        }

    def warnings(self) -> list[str]:
        """Return what stands against reading the result as that of a trial, the gravest first."""
        found, zeros = [], (self.time_zero_treated.strip(), self.time_zero_comparator.strip())
        if not all(zeros):
            found.append("time zero not stated for both groups: immortal time cannot be ruled out")
        elif zeros[0] != zeros[1]:
            found.append(
                f"groups are followed from different moments ({zeros[0]}; {zeros[1]}): immortal time is possible"
            )
        if all(zeros) and self.eligible_from.strip() and self.eligible_from.strip() != zeros[0]:
            found.append(
                f"eligibility is known from {self.eligible_from.strip()}, not from time zero: selection is possible"
            )
        missing = [name.replace("_", " ") for name, part in self.parts().items() if not part.is_stated]
        if missing:
            found.append(f"target trial: {', '.join(missing)} not stated")
        return found


def with_target_trial(results: pl.DataFrame, trial: TargetTrial | None) -> pl.DataFrame:
    """Return the results of a comparison with the warnings in each note, followed by the checklist.

    Parameters
    ----------
    results
        Schema RESULTS, of a comparison without randomisation: of `e_value`, `covariate_balance`, or your own.
        `weighted_survival_difference` does this itself.
    trial
        The target trial; None puts "no target trial stated" into each note and lists every part as not stated.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS; after the given rows one of statistic "target_trial" per part (`term`), the text in `note` as
        "trial: ...; here: ...", `mark` assumed where it is not stated.

    References
    ----------
    Hernan and Robins (2016), doi:10.1093/aje/kwv254.

    Examples
    --------
    Eight parts of the protocol and time zero, none of them stated:

    >>> from ahsct.estimates.unmeasured_confounding import e_value
    >>> rows = with_target_trial(e_value(2.0), None)
    >>> rows["note"][0], rows.filter(pl.col("statistic") == "target_trial").height
    ('no randomisation; no target trial stated', 9)
    """
    warnings = ["no target trial stated"] if trial is None else trial.warnings()
    trial = trial or TargetTrial()
    told = {
        name: f"trial: {part.trial.strip() or NOT_STATED}; here: {part.emulation.strip() or NOT_STATED}"
        for name, part in trial.parts().items()
    }
    zeros = (trial.time_zero_treated.strip() or NOT_STATED, trial.time_zero_comparator.strip() or NOT_STATED)
    told["time_zero"] = (
        f"treated: {zeros[0]}; comparator: {zeros[1]}; eligible from: {trial.eligible_from.strip() or NOT_STATED}"
    )
    checklist = results_frame(
        result(
            statistic="target_trial",
            unit="text",
            term=name,
            n=None,
            method="target trial checklist",
            mark="assumed" if NOT_STATED in text else None,
            note=text,
        )
        for name, text in told.items()
    )
    return pl.concat([add_note(results, "; ".join(["no randomisation", *warnings])), checklist])
