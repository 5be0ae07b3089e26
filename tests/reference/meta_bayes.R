# Writes meta_bayes.csv. R 4.2.2, stats: the posterior of the normal-normal model with half-normal tau by integrate (rel.tol 1e-12)
# over tau, the mean in closed form given tau; quantiles by uniroot (tol 1e-13).
g <- function(x) sprintf("%.17g", x)
bcg <- read.csv("p10_meta.csv"); a <- bcg$tpos; b <- bcg$tpos + bcg$tneg; c <- bcg$cpos; d <- bcg$cpos + bcg$cneg
sets <- list(bcg = list(y = log(a / b / (c / d)), v = 1 / a - 1 / b + 1 / c - 1 / d),
  five = list(y = c(-2.66, -1.31, -0.69, -0.6, 0.4), v = c(0.40, 0.36, 0.06, 0.065, 0.146)), two = list(y = c(-0.486, -1.309), v = c(0.206, 0.106)))
rows <- list()
for (s in names(sets)) for (prior in c("flat", "normal")) { y <- sets[[s]]$y; v <- sets[[s]]$v; sc <- 0.5; m0 <- 0; u2 <- if (prior == "flat") Inf else 1
  cond <- function(t) { w <- 1 / (v + t^2); pr <- sum(w) + 1 / u2; m <- (sum(w * y) + m0 / u2) / pr; base <- sum(log(w)) / 2 - sum(w * y^2) / 2; c(m, 1 / sqrt(pr), base + m^2 * pr / 2 - log(pr) / 2 - (t / sc)^2 / 2) }
  top <- optimize(function(t) cond(t)[3], c(0, 5), maximum = TRUE)$objective
  int <- function(f) { h <- function(ts) sapply(ts, function(t) { q <- cond(t); exp(q[3] - top) * f(t, q[1], q[2]) })
    sum(sapply(1:20, function(i) integrate(h, (i - 1) * 0.25, i * 0.25, rel.tol = 1e-12, abs.tol = 0, subdivisions = 2000)$value)) }
  Z <- int(function(t, m, s) 1); mean <- int(function(t, m, s) m) / Z; sd <- sqrt(int(function(t, m, s) m^2 + s^2) / Z - mean^2)
  q <- function(p, new) uniroot(function(x) int(function(t, m, s) pnorm(x, m, sqrt(s^2 + (if (new) t^2 else 0)))) / Z - p, c(-15, 15), tol = 1e-13)$root
  val <- c(mean = mean, sd = sd, tau_mean = int(function(t, m, s) t) / Z, lower = q(.025, FALSE), upper = q(.975, FALSE), new_lower = q(.025, TRUE), new_upper = q(.975, TRUE))
  for (n in names(val)) rows[[length(rows) + 1]] <- data.frame(set = s, prior = prior, what = n, value = g(val[[n]])) }
write.csv(do.call(rbind, rows), "meta_bayes.csv", row.names = FALSE, quote = FALSE)
