"""The R script that recomputes the headline from `time_to_event.csv` with R's own survival package."""

from __future__ import annotations

import polars as pl

from ahsct.definitions import INTERCURRENT_EVENTS, Definition
from ahsct.report.words import INTERVALS, endpoint_label, primary_time

_CONF_TYPE = {"log-log": "log-log", "log": "log", "plain": "plain", "logit": "logit", "arcsine": "arcsin"}

_HEAD = """\
# {title}
#
# Recomputes the headline of this report with R and its package survival, independently of ahsct:
#     Rscript check.R
# run in the folder of the report. For each way of counting it reads the rows of the composite endpoint from
# time_to_event.csv and prints the Kaplan-Meier estimate at day {day} ({at}) with its
# {interval} interval; where nobody was censored before that day, also the exact binomial
# (Clopper-Pearson) interval. Where events compete, it prints their cumulative incidences (Aalen-Johansen).

suppressPackageStartupMessages(library(survival))

rows <- read.csv("time_to_event.csv", stringsAsFactors = FALSE, na.strings = "")
rows <- rows[rows$endpoint == {endpoint} & rows$component == "composite" & rows$is_evaluable == "true", ]
at <- {day}
level <- {level}

percent <- function(x) formatC(100 * x, format = "f", digits = 1)
show <- function(x, low, high, method) {{
  cat(sprintf("  %s %% (%s-%s), %s\\n", percent(x), percent(low), percent(high), method))
}}

competing <- c({competing})  # the ways of counting under which events compete

for (estimand in unique(rows$estimand)) for (arm in unique(rows$arm)) {{
  own <- rows[rows$estimand == estimand & rows$arm == arm, ]
  if (nrow(own) == 0) next
  event <- own$is_event == "true"
  cat(sprintf("%s, %s, n = %d, events by day %d: %d\\n", estimand, arm, nrow(own), at, sum(event & own$time_day <= at)))
  if (estimand %in% competing) {{
    causes <- sort(unique(own$cause[event]))
    if (length(causes) == 0) {{
      cat("  no event of any cause\\n")
      next
    }}
    state <- factor(ifelse(event, own$cause, "censored"), c("censored", causes))
    fit <- survfit(Surv(time_day, state) ~ 1, data = cbind(own, state), id = seq_len(nrow(own)))
    if (at > max(own$time_day) && min(fit$pstate[, 1]) > 1e-9) {{
      cat("  follow-up ends before that day\\n")
      next
    }}
    seen <- summary(fit, times = at, extend = TRUE)
    for (cause in causes) {{
      incidence <- seen$pstate[, match(cause, fit$states)]
      cat(sprintf("  %s %%, cumulative incidence of %s (Aalen-Johansen)\\n", percent(incidence), cause))
    }}
    next
  }}
  entry <- own$entry_day
  surv <- if (any(entry > 0)) Surv(entry, own$time_day, event) else Surv(own$time_day, event)
  fit <- survfit(surv ~ 1, conf.type = {conf_type}, conf.int = level)
  if (at > max(own$time_day) && min(fit$surv) > 1e-9) {{
    cat("  follow-up ends before that day\\n")
    next
  }}
  seen <- summary(fit, times = at, extend = TRUE)
  show(seen$surv, seen$lower, seen$upper, "Kaplan-Meier, {conf_type_name}")
  if (!any(entry > 0) && !any(!event & own$time_day < at)) {{
    free <- sum(!(event & own$time_day <= at))
    exact <- binom.test(free, nrow(own), conf.level = level)$conf.int
    show(free / nrow(own), exact[1], exact[2], "Clopper-Pearson")
  }}
}}
"""


def check_script(definition: Definition) -> str:
    """Return the R script that reads `time_to_event.csv` beside it and prints the headline.

    Examples
    --------
    >>> from ahsct.definitions import load_definition
    >>> 'conf.type = "log-log"' in check_script(load_definition("atkins2016"))
    True
    """
    return _HEAD.format(
        title=_comment(f"{endpoint_label(definition, definition.primary_endpoint)} at {primary_time(definition)}"),
        day=definition.primary_milestone_days,
        at=primary_time(definition),
        interval=f"{100 * definition.conf_level:g} % {INTERVALS[definition.interval].replace('−', '-')}",
        endpoint=_quoted(definition.primary_endpoint),
        level=repr(definition.conf_level),
        competing=", ".join(
            _quoted(one.id)
            for one in definition.estimands
            if any(one.handling(event).handling == "competing" for event in INTERCURRENT_EVENTS)
        ),
        conf_type=_quoted(_CONF_TYPE[definition.interval]),
        conf_type_name=INTERVALS[definition.interval].replace("−", "-"),
    )  # fmt: skip


def for_r(time_to_event: pl.DataFrame) -> pl.DataFrame:
    """Return the table without line breaks in its texts, which R would read as rows."""
    return time_to_event.with_columns(pl.col(pl.String).str.replace_all(r"[\r\n]+", " "))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _comment(text: str) -> str:
    return " ".join(text.split())
