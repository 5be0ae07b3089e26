# Writes log_rank.csv from cox_data.csv. R 4.2.2, survival 3.5.3: survdiff(rho), the score test of coxph with exact
# ties (which is the log-rank test, also with delayed entry); the other weights in plain R below.
library(survival)
d <- read.csv("cox_data.csv"); f <- function(x) sprintf("%.17g", x); rows <- list()
put <- function(data_set, group, strata, weight, chi)
  rows[[length(rows) + 1]] <<- data.frame(data_set, group, strata, weight, chi_squared = f(chi))
plain <- function(time, event, g, weigh) {
  g <- as.integer(factor(g)); k <- max(g); u <- rep(0, k); v <- matrix(0, k, k); s <- 1; p <- 1
  for (t in sort(unique(time[event == 1]))) {
    n <- sum(time >= t); dd <- sum(time == t & event == 1); p <- p * (1 - dd / (n + 1)); w <- weigh(n, s, p)
    for (i in 1:k) { ni <- sum(time >= t & g == i); u[i] <- u[i] + w * (sum(time == t & event == 1 & g == i) - dd * ni / n)
      for (j in 1:k) v[i, j] <- v[i, j] + if (n > 1) w^2 * dd * (n - dd) / (n - 1) * (ni / n) * ((i == j) - sum(time >= t & g == j) / n) else 0 }
    s <- s * (1 - dd / n)
  }
  drop(u[-1] %*% solve(v[-1, -1, drop = FALSE], u[-1]))
}
weights <- list("gehan-wilcoxon" = function(n, s, p) n, "tarone-ware" = function(n, s, p) sqrt(n),
  "peto-prentice" = function(n, s, p) p, "fh_0.5_2" = function(n, s, p) s^0.5 * (1 - s)^2, "fh_0_1" = function(n, s, p) 1 - s)
for (x in list(c("veteran", "x1", "stratum"), c("veteran", "stratum", "x1"), c("lung", "x2", "stratum"), c("rats", "x1", "stratum"), c("aml", "x1", "x3"))) {
  z <- d[d$data_set == x[1], ]; g <- z[[x[2]]]; s <- z[[x[3]]]
  put(x[1], x[2], "", "log-rank", survdiff(Surv(time, event) ~ g, z)$chisq)
  put(x[1], x[2], "", "peto-peto", survdiff(Surv(time, event) ~ g, z, rho = 1)$chisq)
  put(x[1], x[2], "", "fh_0.5_0", survdiff(Surv(time, event) ~ g, z, rho = 0.5)$chisq)
  put(x[1], x[2], x[3], "log-rank", survdiff(Surv(time, event) ~ g + strata(s), z)$chisq)
  put(x[1], x[2], x[3], "peto-peto", survdiff(Surv(time, event) ~ g + strata(s), z, rho = 1)$chisq)
  for (w in names(weights)) put(x[1], x[2], "", w, plain(z$time, z$event, g, weights[[w]]))
}
z <- d[d$data_set == "heart", ]
put("heart", "stratum", "", "log-rank", coxph(Surv(entry, time, event) ~ stratum, z, ties = "exact")$score)
put("heart", "x3", "stratum", "log-rank", coxph(Surv(entry, time, event) ~ x3 + strata(stratum), z, ties = "exact")$score)
write.csv(do.call(rbind, rows), "log_rank.csv", row.names = FALSE, quote = FALSE)
