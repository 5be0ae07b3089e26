# Writes proportions.csv. Counts of the trial, and of data that ship with R (datasets 4.2.2): esoph (cases by age), Titanic
# (children who died by class; the cell of first-class children is empty) and infert (cases by spontaneous abortions).
# R 4.2.2, stats; mid-P from its definition by uniroot (tol 1e-15). Jeffreys from qbeta with
# limit 0 at no event and 1 at all; "jeffreys posterior": the quantiles themselves. Blaker from his definition of the
# acceptability (minimum of both tails' probability plus the largest opposite tail no likelier): first p on a grid of
# 2e-6 above the limit of Clopper and Pearson that is accepted, then bisection on accepted or not.
rows <- list(); f <- function(x) ifelse(is.na(x), "", sprintf("%.17g", x))
add <- function(method, sided, x, n, level, ci) rows[[length(rows) + 1]] <<-
  data.frame(set = set, method = method, sided = sided, n_events = x, n = n, conf_level = level, lower = f(ci[1]), upper = f(ci[2]))
midp <- function(x, n, a) {
  below <- function(p) pbinom(x - 1, n, p) + dbinom(x, n, p) / 2
  root <- function(g) uniroot(function(p) below(p) - g, c(0, 1), tol = 1e-15)$root
  c(if (x == 0) 0 else root(1 - a), if (x == n) 1 else root(a))
}
acceptable <- function(p, x, n, a) {
  p1 <- pbinom(x - 1, n, p, lower.tail = FALSE); p2 <- pbinom(x, n, p); k <- 0:n; low <- pbinom(k, n, p); high <- pbinom(k - 1, n, p, lower.tail = FALSE)
  min(p1 + max(0, low[low <= p1 * (1 + 1e-13)]), p2 + max(0, high[high <= p2 * (1 + 1e-13)])) > a
}
blaker <- function(x, n, a) {
  lower <- function(x) { if (x == 0) return(0)
    from <- qbeta(a / 2, x, n - x + 1); while (!acceptable(from + 2e-6, x, n, a)) from <- from + 2e-6
    to <- from + 2e-6; for (i in 1:60) { m <- (from + to) / 2; if (acceptable(m, x, n, a)) to <- m else from <- m }
    to }
  c(lower(x), 1 - lower(n - x))
}
e <- aggregate(cbind(ncases, ncontrols) ~ agegp, esoph, sum); d <- apply(Titanic[1:3, , "Child", ], c(1, 3), sum); k <- table(infert$spontaneous, infert$case)
sets <- list("counts of the trial" = list(c(0, 24), c(1, 24), c(8, 23), c(16, 24), c(16, 23), c(23, 23), c(24, 24), c(0, 1), c(1, 1), c(7, 19), c(167, 900)),
  esoph = lapply(1:6, function(i) c(e$ncases[i], e$ncases[i] + e$ncontrols[i])), Titanic = lapply(1:3, function(i) c(d[i, "No"], sum(d[i, ]))),
  infert = lapply(1:3, function(i) c(k[i, "1"], sum(k[i, ]))))
for (set in names(sets)) for (xn in sets[[set]])
  for (level in c(0.95, 0.9)) {
    x <- xn[1]; n <- xn[2]; a <- (1 - level) / 2
    add("clopper-pearson", "two", x, n, level, binom.test(x, n, conf.level = level)$conf.int[1:2])
    add("clopper-pearson", "upper", x, n, level, binom.test(x, n, alternative = "less", conf.level = level)$conf.int[1:2])
    add("clopper-pearson", "lower", x, n, level, binom.test(x, n, alternative = "greater", conf.level = level)$conf.int[1:2])
    add("wilson", "two", x, n, level, suppressWarnings(prop.test(x, n, correct = FALSE, conf.level = level))$conf.int[1:2])
    add("jeffreys", "two", x, n, level, c(if (x == 0) 0 else qbeta(a, x + .5, n - x + .5), if (x == n) 1 else qbeta(1 - a, x + .5, n - x + .5)))
    add("jeffreys posterior", "two", x, n, level, qbeta(c(a, 1 - a), x + .5, n - x + .5))
    add("mid-p", "two", x, n, level, midp(x, n, a))
    add("blaker", "two", x, n, level, blaker(x, n, 2 * a))
  }
write.csv(do.call(rbind, rows), "proportions.csv", row.names = FALSE, quote = FALSE)
