# Writes rates.csv and rate_ratios.csv. Counts of the trial, and of data that ship with R: warpbreaks (datasets 4.2.2:
# breaks per loom, by wool and tension), epil (MASS 7.3.58.2: seizures in years of two-week periods, by treatment) and
# ships (MASS: damage in years of service; all with service, seven of them without any). Ratios: wool B to A in each
# tension, progabide to placebo, ships of type D to C of the same build and period (where either had any, some on one side only).
# R 4.2.2, stats: poisson.test; mid-P from its definition by uniroot (tol 1e-14;
# of the ratio: for the binomial share of the numerator).
f <- function(x) ifelse(is.na(x), "", sprintf("%.17g", x))
rows <- list()
add <- function(method, sided, x, t, level, ci) rows[[length(rows) + 1]] <<-
  data.frame(set = set, method = method, sided = sided, n_events = x, person_years = f(t), conf_level = level, lower = f(ci[1]), upper = f(ci[2]))
midp <- function(x, a) {
  below <- function(m) ppois(x - 1, m) + dpois(x, m) / 2
  root <- function(g) uniroot(function(m) below(m) - g, c(0, 3 * x + 20), tol = 1e-14)$root
  c(if (x == 0) 0 else root(1 - a), root(a))
}
library(MASS); w <- aggregate(breaks ~ wool + tension, warpbreaks, function(x) c(sum(x), length(x)))$breaks
e <- aggregate(y ~ trt, epil, function(x) c(sum(x), length(x) * 14 / 365.25))$y; s <- ships[ships$service > 0, ]
each <- function(x, t) lapply(seq_along(x), function(i) c(x[i], t[i]))
sets <- list("counts of the trial" = list(c(0, 179), c(167, 140), c(1, 327), c(188, 48), c(3, 0.5), c(2500, 1e5)), warpbreaks = each(w[, 1], w[, 2]),
  epil = each(e[, 1], e[, 2]), ships = each(s$incidents, s$service / 12))
for (set in names(sets)) for (xt in sets[[set]]) for (level in c(0.95, 0.9)) {
  x <- xt[1]; t <- xt[2]
  add("garwood", "two", x, t, level, poisson.test(x, t, conf.level = level)$conf.int)
  add("garwood", "upper", x, t, level, poisson.test(x, t, alternative = "less", conf.level = level)$conf.int)
  add("garwood", "lower", x, t, level, poisson.test(x, t, alternative = "greater", conf.level = level)$conf.int)
  add("mid-p", "two", x, t, level, midp(x, (1 - level) / 2) / t)
}
write.csv(do.call(rbind, rows), "rates.csv", row.names = FALSE, quote = FALSE)
ratio <- function(x, t, y, u, set = "counts of the trial") { p <- poisson.test(c(x, y), c(t, u)); n <- x + y
  mid <- function(a) uniroot(function(q) pbinom(x - 1, n, q) + dbinom(x, n, q) / 2 - a, c(0, 1), tol = 1e-15)$root
  lo <- if (x) mid(0.975) else 0; up <- if (y) mid(0.025) else 1
  data.frame(set = set, n_events = x, person_years = f(t), n_events_reference = y, person_years_reference = f(u),
  estimate = f(unname(p$estimate)), lower = f(p$conf.int[1]), upper = f(p$conf.int[2]), p_value = f(p$p.value),
  mid_lower = f(lo / (1 - lo) * u / t), mid_upper = f(up / (1 - up) * u / t)) }
pairs <- merge(s[s$type == "D", ], s[s$type == "C", ], by = c("year", "period"))
from_r <- c(lapply(c(1, 3, 5), function(i) ratio(w[i + 1, 1], w[i + 1, 2], w[i, 1], w[i, 2], "warpbreaks")), list(ratio(e[2, 1], e[2, 2], e[1, 1], e[1, 2], "epil")),
  lapply(which(pairs$incidents.x + pairs$incidents.y > 0), function(i) with(pairs[i, ], ratio(incidents.x, service.x / 12, incidents.y, service.y / 12, "ships"))))
write.csv(rbind(ratio(5, 60, 21, 72), ratio(0, 179, 167, 140), ratio(3, 10, 0, 20), ratio(12, 100, 12, 100),
  ratio(40, 30, 10, 31), ratio(1, 327, 188, 48), ratio(2, 1, 9, 50), ratio(5, 10, 0, 20), ratio(0, 20, 5, 10), do.call(rbind, from_r)), "rate_ratios.csv", row.names = FALSE, quote = FALSE)
