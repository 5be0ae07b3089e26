# Writes permutation.csv from cox_data.csv. R 4.2.2, survival 3.5.3, coin 1.4.2: scores are the martingale residuals of
# the model without covariates (event less Nelson-Aalen), p the exact two-sided one of independence_test.
library(survival); library(coin)
d <- read.csv("cox_data.csv"); f <- function(x) sprintf("%.17g", x); rows <- list()
take <- function(name, g, n) { x <- d[d$data_set == name, ]; x$g <- x[[g]]; x <- x[order(x$g), ]
  x <- do.call(rbind, lapply(split(x, x$g), head, n)); x }
for (x in list(list("aml", "x1", 99), list("ovarian_empty_arm", "x2", 99), list("veteran", "x1", 12), list("lung", "x2", 10), list("rats", "x1", 24))) {
  z <- take(x[[1]], x[[2]], x[[3]]); score <- residuals(coxph(Surv(time, event) ~ 1, z, ties = "breslow"), type = "martingale")
  t <- independence_test(score ~ factor(g), data.frame(score = score, g = z$g), distribution = exact(algorithm = "split-up"))
  rows[[length(rows) + 1]] <- data.frame(data_set = x[[1]], group = x[[2]], n = x[[3]], score = f(sum(score[z$g == 1])), p = f(pvalue(t)))
}
write.csv(do.call(rbind, rows), "permutation.csv", row.names = FALSE, quote = FALSE)
