# Writes firth.csv from ../cox_data.csv: Firth's penalty, coefficients, errors, profile limits, p and the likelihood ratio.
# R 4.2.2, coxphf 1.13.4: coxphf(epsilon = 1e-9, gconv = 1e-9, maxit = 200); tighter, its halving of steps never ends.
# It takes tied events by Breslow's formula.
suppressMessages({library(coxphf); library(survival)})
d <- read.csv("../cox_data.csv"); rows <- list()
put <- function(data_set, what, value) rows[[length(rows) + 1]] <<- data.frame(data_set, what, at = seq_along(value), value = sprintf("%.17g", value))
for (name in unique(d$data_set)) {
  x <- d[d$data_set == name, ]
  f <- coxphf(if (any(x$entry > 0)) Surv(entry, time, event) ~ x1 + x2 + x3 else Surv(time, event) ~ x1 + x2 + x3, x,
    epsilon = 1e-9, gconv = 1e-9, maxit = 200)
  stopifnot(f$iter < 200, f$iter.ci < 200)
  put(name, "coefficient", coef(f)); put(name, "std_error", sqrt(diag(f$var))); put(name, "p", f$prob)
  put(name, "lower", log(f$ci.lower)); put(name, "upper", log(f$ci.upper)); put(name, "likelihood_ratio", 2 * diff(f$loglik))
}
write.csv(do.call(rbind, rows), "firth.csv", row.names = FALSE, quote = FALSE)
