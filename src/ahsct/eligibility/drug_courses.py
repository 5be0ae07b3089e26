"""The drugs that a patient had before a day: which substance a name means, and why it was stopped."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ahsct.definitions.drugs import drug_named
from ahsct.tables import Study

_EVENT = r"(relaps\w*|progress\w*|activity|failure|breakthrough|worsening|new\s+lesions?)"
# what looks like a failure in a reason, but is none
_NO_FAILURE = (
    rf"(?i)\b(no|without|not|never|zero|free\s+(of|from)|absence\s+of)\s+(evidence\s+of\s+|signs?\s+of\s+)?(\w+\s+)?{_EVENT}"
    rf"(\s*(or|nor|/)\s*(\w+\s+)?{_EVENT})*\b"
    r"|\b(relapse|progression|activity)[\s-]free\b|\bnot\s+(due\s+to\s+|for\s+)?(lack|loss)\s+of\s+\w+"
    r"|\brelapses?\s+of\s+(depress|cancer|tumou?r|infect|herpes|substance|addict)\w*"
    r"|\b(liver|hepatic|heart|cardiac|renal|kidney|respiratory|organ)\s+failure\b"
)
_INEFFECTIVE = (
    r"(?i)inefficacy|inefficient|ineffective|(not|no\s+longer)\s+effective|non-?respon|(no|without)\s+(response|effect|efficacy)|"
    r"(lack|loss)\s+of\s+(efficacy|effect|effectiveness|response)|"
    r"(insufficient|inadequate|suboptimal|poor|limited)\s+(\w+\s+)?(response|efficacy|effect|control)"
)
# a denial further off, of which nobody knows what it denies
_UNCLEAR = rf"(?i)\b(no|without|not|never)\s+(\w+\s+){{2,5}}{_EVENT}"
_FAILURE = (
    r"(?i)breakthrough|relaps|disease\s+activity|mri\s+activity|(disease|disability|edss|ms)\s+(progress|worsening)|"
    r"new\s+lesion|(treatment|therapy|therapeutic|drug|primary|secondary)\s+failure"
)
_PERHAPS = (
    r"(?i)fail|activity|progress|worsening|escalat"  # of the disease, unless another reason stands beside it
)
_OTHER = (
    r"(?i)pregnan|conce|child|family|breast|adverse|side.?effect|toler|toxic|allerg|reaction|infection|cancer|malign|"
    r"hepat|liver|lymphop|leukop|jc\s*v|jc\s+virus|antibod|pml|safety|risk|patient|wish|choice|decision|prefer|refus|"
    r"complian|adheren|needle|inject|convenien|cost|insur|reimburs|suppl|avail|plann|complete|course\s+finished|"
    r"end\s+of|study|trial|protocol|wash.?out|transplant|hsct|covid|vaccin|surgery|moved|lost|stable|remission|age\b|fatigue|"
    r"attend|visit|appointment|depress|enzyme"
)


# a supportive drug of an unlisted name is none of the listed ones, unless the name leaves it open
_COULD_BE_ANY = r"(?i)chemo|cytotox|cytosta|antineo|immunosup|study|trial|blind|investigat|unknown|unspecif|other|mit[oh]x|mitoz|cyclopho|cyklo"


@dataclass(frozen=True)
class Courses:
    """Courses begun before each patient's day.

    `drugs`: all but those of a transplant; `dmt`: those of DMTs. Both have `substance` and `is_cytotoxic` (missing
    where the name cannot be read; a supportive drug that is not listed counts under its own name), `group` and `stopped_for_failure` (missing where no reason is written down, or
    none that can be read). `incomplete` names the patients of whom courses may be missing.
    """

    drugs: pl.DataFrame
    dmt: pl.DataFrame
    incomplete: list[str]


def stopped_for_failure(reason: pl.Expr) -> pl.Expr:
    """Return whether a reason for stopping says that the drug failed; missing where it cannot be read.

    Examples
    --------
    >>> said = pl.DataFrame({"why": ["insufficient response", "no relapse, planned pregnancy", "liver failure", "see letter"]})
    >>> said.select(stopped_for_failure(pl.col("why"))).to_series().to_list()
    [True, False, False, None]
    """
    rest = reason.str.replace_all(_NO_FAILURE, " ")
    is_other = rest.str.contains(_OTHER) | (rest != reason)
    has_failed = rest.str.contains(_INEFFECTIVE) | (
        ~rest.str.contains(_UNCLEAR)
        & (rest.str.contains(_FAILURE) | (rest.str.contains(_PERHAPS) & ~is_other))
    )
    is_unclear = rest.str.contains(_UNCLEAR) | rest.str.contains(_PERHAPS)
    return pl.when(has_failed).then(True).when(is_other & ~is_unclear).then(False)


def drug_courses(study: Study, people: pl.DataFrame) -> Courses:
    """Return the courses of a study's patients (`patient_id`, `at_day`, `prior_dmt_n`) begun before their day.

    A course is missing where more DMTs are counted in `prior_dmt_n` than the table holds; and where nothing is
    counted, the table holds none, and holds none of anybody else either: it may begin with the transplant.
    """
    columns = ["patient_id", "kind", "drug", "drug_class", "start_day", "end_day", "reason_stopped"]
    rows = study.table("treatments", columns).join(
        people.select("patient_id", "at_day"), on="patient_id", how="inner", maintain_order="left"
    )
    named = {text: drug_named(text) for text in rows["drug"].drop_nulls().unique()}
    read = {text: drug for text, drug in named.items() if drug is not None}

    def of_drug(value: dict[str, object], dtype: type[pl.DataType]) -> pl.Expr:
        return pl.col("drug").replace_strict(value, default=None, return_dtype=dtype)

    is_plain = (
        (pl.col("kind") == "supportive")
        & pl.col("substance").is_null()
        & ~pl.col("drug").str.contains(_COULD_BE_ANY)
    )
    drugs = (
        rows.filter((pl.col("start_day") < pl.col("at_day")).fill_null(True))
        .filter(~pl.col("kind").is_in(["mobilisation", "conditioning"]).fill_null(False))
        .with_columns(
            of_drug({text: drug.name for text, drug in read.items()}, pl.String).alias("substance"),
            of_drug({text: drug.group for text, drug in read.items()}, pl.String).alias("group"),
            of_drug({text: drug.is_cytotoxic for text, drug in read.items()}, pl.Boolean).alias(
                "is_cytotoxic"
            ),
            stopped_for_failure(pl.col("reason_stopped")).alias("stopped_for_failure"),
        )
        .with_columns(
            pl.when(is_plain)
            .then(pl.col("drug").str.to_lowercase())
            .otherwise("substance")
            .alias("substance"),
            pl.when(is_plain).then(False).otherwise("is_cytotoxic").alias("is_cytotoxic"),
        )
        .with_columns(pl.coalesce("substance", pl.col("drug").str.to_lowercase()).alias("drug"))
    )
    dmt = drugs.filter(pl.col("kind") == "dmt")
    counted = people.select("patient_id", "prior_dmt_n").join(
        dmt.group_by("patient_id").agg(pl.col("drug").n_unique().alias("n")), on="patient_id", how="left"
    )
    n = pl.col("n").fill_null(0)
    lacking = (pl.col("prior_dmt_n") > n).fill_null(False)
    unsaid = pl.col("prior_dmt_n").is_null() & (n == 0) & pl.lit(dmt.is_empty())
    return Courses(drugs, dmt, counted.filter(lacking | unsaid)["patient_id"].to_list())
