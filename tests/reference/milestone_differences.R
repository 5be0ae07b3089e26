# Writes milestone_differences.csv from cox_data.csv. R 4.2.2, survival 3.5.3 (survfit; the rest in plain R):
# differences on four scales (Klein et al. 2007), restricted means, quantiles; melded intervals (Fay et al. 2015) of
# the beta product procedure by integrate() over densities written as partial fractions, and Fisher's exact test.
library(survival)
d <- read.csv("cox_data.csv"); f <- function(x) ifelse(is.na(x), "", sprintf("%.17g", x)); rows <- list()
put <- function(data_set, time, quantity, value) rows[[length(rows) + 1]] <<- data.frame(data_set, time = f(time), quantity, value = f(value))
scales <- list(identity = list(function(p) p, function(p) 1), log = list(log, function(p) 1 / p),
  cloglog = list(function(p) log(-log(p)), function(p) 1 / (p * log(p))), logit = list(function(p) log(p / (1 - p)), function(p) 1 / (p * (1 - p))))
cdf <- function(w, r) { w <- pmin(pmax(w, 0), 1); if (!length(r)) as.numeric(w >= 1) else
  rowSums(sapply(r, function(i) w^i * prod((r / (r - i))[r != i]))) }
pdf <- function(w, r) rowSums(sapply(r, function(i) i * w^(i - 1) * prod((r / (r - i))[r != i])))
rates <- function(time, event, at) unlist(lapply(sort(unique(time[event == 1 & time <= at])), function(t) sum(time >= t) - seq_len(sum(time == t & event == 1)) + 1))
chance <- function(one, other, bound) integrate(function(q) cdf(bound(q), one) * pdf(q, other), 0, 1, rel.tol = 1e-11, subdivisions = 2000L)$value
root <- function(g, p, ends) uniroot(function(v) g(v) - p, ends, tol = 1e-13)$root
for (x in list(list("veteran", "x1", c(50, 100, 200)), list("lung", "x2", c(200, 400)), list("rats", "x1", c(80, 100)), list("aml", "x1", c(20, 30)))) {
  z <- d[d$data_set == x[[1]], ]; z$g <- z[[x[[2]]]]; s <- survfit(Surv(time, event) ~ g, z)
  for (at in x[[3]]) {
    y <- summary(s, times = at, extend = TRUE); p <- rev(y$surv); se <- rev(y$std.err)   # arm 1, then arm 0
    for (name in names(scales)) { g <- scales[[name]]; e <- g[[1]](p[1]) - g[[1]](p[2]); se2 <- sqrt(sum((sapply(p, g[[2]]) * se)^2))
      put(x[[1]], at, paste0(name, c("_estimate", "_error", "_p")), c(e, se2, 2 * pnorm(-abs(e / se2)))) }
    m <- summary(s, rmean = at)$table; mu <- rev(m[, "rmean"]); e <- rev(m[, "se(rmean)"])
    put(x[[1]], at, c("rmst_difference", "rmst_difference_error"), c(mu[1] - mu[2], sqrt(sum(e^2))))
    put(x[[1]], at, c("rmst_log_ratio", "rmst_log_ratio_error"), c(log(mu[1] / mu[2]), sqrt(sum((e / mu)^2))))
  }
  for (a in 0:1) { q <- quantile(survfit(Surv(time, event) ~ 1, z[z$g == a, ], conf.type = "log-log"), c(0.25, 0.75))
    put(x[[1]], a, c("q25", "q25_lower", "q25_upper"), c(q$quantile[1], q$lower[1], q$upper[1])); put(x[[1]], a, "q75", q$quantile[2]) }
}
z <- d[d$data_set == "aml", ]
for (at in c(20, 30)) {
  u <- lapply(1:0, function(a) with(z[z$x1 == a, ], rates(time, event, at))); n <- sapply(1:0, function(a) sum(z$time[z$x1 == a] > at))
  l <- list(c(u[[1]], n[1]), c(u[[2]], n[2]))
  put("aml", at, "melded_p", 2 * min(chance(l[[1]], u[[2]], identity), 1 - chance(u[[1]], l[[2]], identity)))
  put("aml", at, c("melded_lower", "melded_upper"), c(root(function(v) chance(l[[1]], u[[2]], function(q) q + v), 0.025, c(-0.999, 0.999)),
    root(function(v) chance(u[[1]], l[[2]], function(q) q + v), 0.975, c(-0.999, 0.999))))
  put("aml", at, c("melded_ratio_lower", "melded_ratio_upper"), exp(c(root(function(v) chance(l[[1]], u[[2]], function(q) q * exp(v)), 0.025, c(-9, 9)),
    root(function(v) chance(u[[1]], l[[2]], function(q) q * exp(v)), 0.975, c(-9, 9)))))
  put("aml", at, c("melded_hazard_lower", "melded_hazard_upper"), exp(c(root(function(v) 1 - chance(u[[1]], l[[2]], function(q) q^exp(v)), 0.025, c(-9, 9)),
    root(function(v) 1 - chance(l[[1]], u[[2]], function(q) q^exp(v)), 0.975, c(-9, 9)))))
}
for (x in list(c(16, 24, 8, 24), c(23, 24, 15, 24), c(20, 24, 24, 24), c(0, 12, 5, 12), c(7, 9, 3, 11))) {
  one <- fisher.test(rbind(c(x[1], x[2] - x[1]), c(x[3], x[4] - x[3])), alternative = "greater")$p.value
  two <- fisher.test(rbind(c(x[1], x[2] - x[1]), c(x[3], x[4] - x[3])), alternative = "less")$p.value
  put(paste(x, collapse = " "), 0, "fisher_p", min(1, 2 * min(one, two)))
}
x <- c(16, 24, 8, 24)
bin <- function(a1, b1, a0, b0, v) integrate(function(q) pbeta(q + v, a1, b1) * dbeta(q, a0, b0), 0, 1, rel.tol = 1e-12)$value
put("16 24 8 24", 0, c("melded_lower", "melded_upper"), c(root(function(v) bin(16, 9, 9, 16, v), 0.025, c(-0.9, 0.9)), root(function(v) bin(17, 8, 8, 17, v), 0.975, c(-0.9, 0.9))))
write.csv(do.call(rbind, rows), "milestone_differences.csv", row.names = FALSE, quote = FALSE)
