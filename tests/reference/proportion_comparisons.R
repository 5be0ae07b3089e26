# Writes proportion_comparisons.csv. R 4.2.2, stats; data of MASS 7.3.58.2 and geepack 1.3.9. Own code from the definitions, on another
# road than ours: the restricted estimates from the cubic of Miettinen and Nurminen (difference), the quadratic's other
# form (ratio) and the restricted multinomial by uniroot (pairs); limits by uniroot (tol 1e-15). Wilson limits inside
# Newcombe's from prop.test(correct = FALSE); p-values: prop.test's chi-square times (N - 1)/N ("mee", "koopman": times
# 1); pairs: binom.test(b, b + c) for the odds ratio and its p.
f <- function(x) ifelse(is.na(x), "", sprintf("%.17g", x))
rows <- list()
add <- function(set, statistic, method, a, b, c, d, level, est, lo, up, p) rows[[length(rows) + 1]] <<-
  data.frame(set, statistic, method, a, b, c, d, conf_level = level, estimate = f(est), lower = f(lo), upper = f(up), p_value = f(p))
root <- function(g, lo, up) uniroot(g, c(lo, up), tol = 1e-15, maxiter = 1e4)$root
cubic <- function(x1, n1, x2, n2, d) {
  N <- n1 + n2; L2 <- (n1 + 2 * n2) * d - N - x1 - x2; L1 <- (n2 * d - N - 2 * x2) * d + x1 + x2; L0 <- x2 * d * (1 - d)
  q <- L2^3 / (3 * N)^3 - L1 * L2 / (6 * N^2) + L0 / (2 * N)
  p <- (if (q < 0) -1 else 1) * sqrt(max(L2^2 / (3 * N)^2 - L1 / (3 * N), 0))
  a <- (pi + acos(max(-1, min(1, if (p == 0) 0 else q / p^3)))) / 3
  p2 <- min(max(2 * p * cos(a) - L2 / (3 * N), max(0, -d)), min(1, 1 - d))
  c(p2 + d, p2)
}
difference <- function(x1, n1, x2, n2, level, k) {
  z <- qnorm(1 - (1 - level) / 2); est <- x1 / n1 - x2 / n2
  se <- function(d) { p <- cubic(x1, n1, x2, n2, d); sqrt(max(0, k * (p[1] * (1 - p[1]) / n1 + p[2] * (1 - p[2]) / n2))) }
  c(if (est == -1) -1 else root(function(d) est - d - z * se(d), -1, est - 1e-9), if (est == 1) 1 else root(function(d) est - d + z * se(d), est + 1e-9, 1))
}
ratio <- function(x1, n1, x2, n2, level, k) {
  z <- qnorm(1 - (1 - level) / 2)
  gap <- function(l, s) { phi <- exp(l); A <- (n1 + n2) * phi; B <- -(n1 * phi + x1 + n2 + x2 * phi); C <- x1 + x2
    p2 <- (-B - sqrt(max(0, B^2 - 4 * A * C))) / (2 * A); p1 <- min(1, phi * p2)
    x1 / n1 - phi * x2 / n2 + s * z * sqrt(k * (p1 * (1 - p1) / n1 + phi^2 * p2 * (1 - p2) / n2)) }
  if (x1 + x2 == 0) return(c(NA, NA))
  c(if (x1 == 0) 0 else exp(root(function(l) gap(l, -1), -7, 7)), if (x2 == 0) NA else exp(root(function(l) gap(l, 1), -7, 7)))
}
two <- function(set, x1, n1, x2, n2) for (level in c(0.95, 0.9)) {
  t <- suppressWarnings(prop.test(c(x1, x2), c(n1, n2), correct = FALSE)$statistic); if (is.na(t)) t <- 0
  N <- n1 + n2; p <- pchisq(c(t, t * (N - 1) / N), 1, lower.tail = FALSE); d <- x1 / n1 - x2 / n2; r <- if (x2) x1 / n1 / (x2 / n2) else NA
  w <- function(x, n) suppressWarnings(prop.test(x, n, correct = FALSE, conf.level = level))$conf.int[1:2]
  for (m in 1:2) {
    k <- c(1, N / (N - 1))[m]; i <- difference(x1, n1, x2, n2, level, k); j <- ratio(x1, n1, x2, n2, level, k)
    add(set, "proportion_difference", c("mee", "miettinen-nurminen")[m], x1, n1, x2, n2, level, d, i[1], i[2], p[m])
    add(set, "proportion_ratio", c("koopman", "miettinen-nurminen")[m], x1, n1, x2, n2, level, r, j[1], j[2], p[m])
  }
  a <- w(x1, n1); b <- w(x2, n2)
  add(set, "proportion_difference", "newcombe", x1, n1, x2, n2, level, d, d - sqrt((x1 / n1 - a[1])^2 + (b[2] - x2 / n2)^2), d + sqrt((a[2] - x1 / n1)^2 + (x2 / n2 - b[1])^2), NA)
}
tango <- function(b, c, n, level) {
  z <- qnorm(1 - (1 - level) / 2); est <- (b - c) / n
  se <- function(d) {  # p12 = q + d, p21 = q, the rest 1 - 2q - d: the score of q, by uniroot
    lo <- max(0, -d); up <- (1 - d) / 2; s <- function(q) { t <- 0; if (b) t <- t + b / (q + d); if (c) t <- t + c / q
      if (n - b - c) t <- t - 2 * (n - b - c) / (1 - 2 * q - d); t }
    e <- 1e-14 * (up - lo); q <- if (up - lo < 1e-12 || s(lo + e) <= 0) lo else if (s(up - e) >= 0) up else root(s, lo + e, up - e)
    sqrt(max(0, (2 * q + d - d^2) / n)) }
  c(if (est == -1) -1 else root(function(d) est - d - z * se(d), -1, est - 1e-9), if (est == 1) 1 else root(function(d) est - d + z * se(d), est + 1e-9, 1))
}
pair <- function(set, b, c, n) for (level in c(0.95, 0.9)) {
  i <- tango(b, c, n, level)
  add(set, "paired_difference", "tango", b, c, n, NA, level, (b - c) / n, i[1], i[2], NA)
  if (b + c) { t <- binom.test(b, b + c, conf.level = level); o <- t$conf.int / (1 - t$conf.int)
    add(set, "paired_odds_ratio", "exact", b, c, n, NA, level, if (c) b / c else NA, o[1], if (c) o[2] else NA, t$p.value) }
}
g <- function(set, t) two(set, t[1, 1], sum(t[1, ]), t[2, 1], sum(t[2, ]))  # rows: groups; first column: events
library(MASS)
g("birthwt", table(birthwt$smoke == 0, birthwt$low == 0)); g("UCBAdmissions A", t(UCBAdmissions[, , 1])); g("Titanic children", Titanic[1:2, 1, 1, 2:1] + Titanic[1:2, 2, 1, 2:1])
g("Melanoma", table(Melanoma$ulcer == 0, Melanoma$status != 1)); g("infert", table(infert$case == 0, infert$spontaneous == 0))
two("trial with and without the death", 7, 23, 8, 24)
for (x in list(c(0, 10, 0, 20), c(10, 10, 0, 20), c(0, 24, 16, 24), c(5, 56, 0, 29), c(24, 24, 23, 23), c(1, 1, 0, 1), c(56, 70, 48, 80))) two("empty cells", x[1], x[2], x[3], x[4])
paired <- function(set, x, y) { k <- !is.na(x) & !is.na(y); pair(set, sum(x[k] & !y[k]), sum(y[k] & !x[k]), sum(k)) }
w <- reshape(bacteria[, c("ID", "week", "y")], idvar = "ID", timevar = "week", direction = "wide"); paired("bacteria", w$y.0 == "y", w$y.11 == "y")
library(geepack); data(respdis); paired("respdis", respdis$y1 == 3, respdis$y4 == 3)
data(ohio); paired("ohio", ohio$resp[ohio$age == -2] == 1, ohio$resp[ohio$age == 1] == 1); paired("sleep", sleep$extra[1:10] > 0, sleep$extra[11:20] > 0)
for (x in list(c(9, 1, 23), c(0, 0, 5), c(1, 0, 1), c(5, 0, 5), c(0, 5, 5), c(3, 0, 24))) pair("empty cells", x[1], x[2], x[3])
write.csv(do.call(rbind, rows), "proportion_comparisons.csv", row.names = FALSE, quote = FALSE)
