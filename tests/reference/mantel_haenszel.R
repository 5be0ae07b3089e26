# Writes mantel_haenszel.csv (strata and answers). R 4.2.2. metafor 3.8.1: rma.mh(ai, n1i, ci, n2i, measure = "RD", "RR",
# "OR", add = 0, drop00 = FALSE, correct = FALSE) and (x1i, t1i, x2i, t2i, measure = "IRD", "IRR"); p:
# stats::mantelhaen.test(correct = FALSE), for rates rma.mh's own chi-square.
suppressMessages(library(metafor)); library(MASS); f <- function(x) sprintf("%.17g", x); rows <- list(); strata <- list()
one <- function(set, a, n, b, m) {
  a <- as.numeric(a); n <- as.numeric(n); b <- as.numeric(b); m <- as.numeric(m); strata[[set]] <<- data.frame(set, kind = "risk", n_events = a, n, n_events_reference = b, n_reference = m)
  k <- n > 0 & m > 0; tab <- array(rbind(a[k], b[k], (n - a)[k], (m - b)[k]), c(2, 2, sum(k)))
  p <- if (sum(k) > 0) mantelhaen.test(tab, correct = FALSE)$p.value else NA
  for (x in c("RD", "RR", "OR")) { g <- rma.mh(ai = a[k], n1i = n[k], ci = b[k], n2i = m[k], measure = x, add = 0, to = "none", drop00 = FALSE)
    rows[[length(rows) + 1]] <<- data.frame(set, measure = x, estimate = f(g$beta[1]), se = f(g$se), p = f(p)) }
}
rate <- function(set, a, t, b, u) {
  strata[[set]] <<- data.frame(set, kind = "rate", n_events = a, n = t, n_events_reference = b, n_reference = u)
  for (x in c("IRD", "IRR")) { g <- rma.mh(x1i = a, t1i = t, x2i = b, t2i = u, measure = x, add = 0, to = "none", drop00 = FALSE, correct = FALSE)
    rows[[length(rows) + 1]] <<- data.frame(set, measure = x, estimate = f(g$beta[1]), se = f(g$se), p = f(if (x == "IRR") g$MHp else NA)) }
}
u <- UCBAdmissions; one("UCBAdmissions", u[1, 1, ], u[1, 1, ] + u[2, 1, ], u[1, 2, ], u[1, 2, ] + u[2, 2, ])
b <- with(birthwt, table(low, smoke, race)); one("birthwt", b[2, 2, ], b[1, 2, ] + b[2, 2, ], b[2, 1, ], b[1, 1, ] + b[2, 1, ])
d <- dat.bcg; one("bcg", d$tpos, d$tpos + d$tneg, d$cpos, d$cpos + d$cneg)
one("empty cells", c(0, 3, 2, 0), c(5, 10, 2, 4), c(1, 0, 1, 0), c(6, 9, 3, 4))
one("two strata", c(4, 3), c(10, 10), c(2, 1), c(10, 10))
s <- subset(ships, service > 0); g <- function(p, v) tapply(v * (s$period == p), s$type, sum)
rate("ships", g(75, s$incidents), g(75, s$service), g(60, s$incidents), g(60, s$service))
h <- with(subset(epil, period <= 4), tapply(y, list(trt, cut(age, c(0, 23, 28, 99))), sum)); w <- with(epil, tapply(y, list(trt, cut(age, c(0, 23, 28, 99))), length)) * 2 / 52
rate("epil", h[2, ], w[2, ], h[1, ], w[1, ])
rate("empty cells rates", c(0, 2, 0), c(10, 20.5, 3), c(3, 0, 1), c(12, 18, 4))
write.csv(do.call(rbind, rows), "mantel_haenszel.csv", row.names = FALSE, quote = FALSE)
a <- do.call(rbind, strata); a[, 3:6] <- lapply(a[, 3:6], f); write.csv(a, "mantel_haenszel_strata.csv", row.names = FALSE, quote = FALSE)
