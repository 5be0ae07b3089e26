# Writes meta_counts.csv. R 4.2.2, metafor 3.8.1, lme4 1.1.31: rma.glmm(measure = "PLO" or "IRLN", nAGQ = 60) with bobyqa run to
# rhoend 1e-9 and tolPwrss as tight as it goes. `se` is from the joint information of mean and tau by Richardson differences of
# R's own quadrature (integrate, rel.tol 1e-12) at the optimum of that, because lme4's differences are good to four or five digits only (`se_glmer`).
# Beta-binomial: lbeta and optim (BFGS, then Nelder-Mead, to reltol 1e-16), `se` by Richardson differences; not at the boundary (lbeta loses
# all digits there).
suppressMessages({library(metafor); library(lme4)})
g <- function(x) sprintf("%.17g", x)
bcg <- read.csv("p10_meta.csv")
sets <- list(deaths = list(x = c(1, 0, 3, 3, 8, 2, 1), n = c(24, 24, 41, 210, 281, 35, 26)),
  bcg_control = list(x = bcg$cpos, n = bcg$cpos + bcg$cneg),
  equal = list(x = c(2, 5, 3, 4), n = c(20, 40, 30, 50)),
  rare = list(x = c(0, 0, 1, 0, 0, 6, 0, 0), n = c(24, 21, 507, 617, 174, 281, 14, 258)),
  improved = list(x = c(8, 41, 80, 17), n = c(23, 82, 149, 21)),
  mixed = list(x = c(9, 18, 16, 3, 30), n = c(14, 23, 22, 52, 50)))
rows <- list(); add <- function(s, f, w, v) rows[[length(rows) + 1]] <<- data.frame(set = s, family = f, what = w, value = g(v))
loglik <- function(par, x, n, family) { m <- par[1]; s <- par[2]
  sum(mapply(function(x, n) { f <- function(u) if (family == "PLO") x * u - n * ifelse(u > 30, u, log1p(exp(u))) else x * u - n * exp(u)
    if (s < 1e-12) return(f(m))
    h <- function(z) f(m + s * z) + dnorm(z, log = TRUE); o <- optimize(h, c(-12, 12), maximum = TRUE, tol = 1e-10); w <- 1 / sqrt(-(h(o$maximum + 1e-3) - 2 * o$objective + h(o$maximum - 1e-3)) / 1e-6)
    o$objective + log(integrate(function(z) exp(h(z) - o$objective), o$maximum - 14 * w, o$maximum + 14 * w, rel.tol = 1e-12, subdivisions = 2000)$value) }, x, n)) }
for (s in names(sets)) { z <- sets[[s]]
  for (fam in c("PLO", "IRLN")) { if (fam == "IRLN" && s %in% c("bcg_control")) next
    for (tol in c(1e-11, 1e-9, 1e-7)) { # the tightest of lme4's inner tolerances that it can reach
      ctl <- list(glmerCtrl = list(optimizer = "bobyqa", tolPwrss = tol, optCtrl = list(rhoend = 1e-9, maxfun = 1e6)))
      f <- try(suppressWarnings(suppressMessages(if (fam == "PLO") rma.glmm(measure = "PLO", xi = z$x, ni = z$n, nAGQ = 60, control = ctl) else
        rma.glmm(measure = "IRLN", xi = z$x, ti = z$n, nAGQ = 60, control = ctl))), silent = TRUE)
      if (!inherits(f, "try-error")) break else cat(s, fam, tol, f) }
    add(s, fam, "mean", f$beta[1]); add(s, fam, "tau2", f$tau2); add(s, fam, "se_glmer", f$se)
    p <- c(f$beta[1], sqrt(f$tau2)); h <- 4e-3; L <- function(p) loglik(p, z$x, z$n, fam)
    d2 <- function(i, j) { e <- function(a, b) { q <- p; q[i] <- q[i] + a; q[j] <- q[j] + b; L(q) }
      one <- function(h) if (i == j) (e(h, 0) - 2 * L(p) + e(-h, 0)) / h^2 else (e(h, h) - e(h, -h) - e(-h, h) + e(-h, -h)) / (4 * h^2)
      (4 * one(h / 2) - one(h)) / 3 }
    if (f$tau2 < 1e-8) { p[2] <- 0; se <- 1 / sqrt(-d2(1, 1)) } else {
      # bobyqa's optimum is off by 1e-7, which the second derivative feels: Newton steps on R's own likelihood
      d1 <- function(i) { e <- function(a) { q <- p; q[i] <- q[i] + a; L(q) }; one <- function(h) (e(h) - e(-h)) / (2 * h); (4 * one(h / 2) - one(h)) / 3 }
      for (k in 1:3) { H <- -matrix(c(d2(1, 1), d2(1, 2), d2(1, 2), d2(2, 2)), 2); p <- p + as.vector(solve(H, c(d1(1), d1(2)))) }
      H <- -matrix(c(d2(1, 1), d2(1, 2), d2(1, 2), d2(2, 2)), 2); se <- sqrt(solve(H)[1, 1]) }
    add(s, fam, "se", se); add(s, fam, "log_likelihood", L(p))
    if (s == "deaths" && fam == "PLO") { pl <- function(m) -optimize(function(t) -L(c(m, t)), c(0, 5), tol = 1e-9)$objective; top <- L(p)
      u <- function(m) top - pl(m) - qchisq(.95, 1) / 2
      add(s, fam, "profile_lower", uniroot(u, c(p[1] - 3, p[1]), tol = 1e-9)$root); add(s, fam, "profile_upper", uniroot(u, c(p[1], p[1] + 3), tol = 1e-9)$root) }
  }
  B <- function(par) { m <- plogis(par[1]); M <- exp(par[2]); sum(lbeta(z$x + m * M, z$n - z$x + (1 - m) * M) - lbeta(m * M, (1 - m) * M)) }
  if (!(s %in% c("equal", "deaths", "bcg_control"))) { o <- optim(c(qlogis(sum(z$x) / sum(z$n)), 3), function(p) -B(p), method = "BFGS", control = list(reltol = 1e-16, maxit = 5000))
    for (i in 1:5) o <- optim(o$par, function(p) -B(p), method = "Nelder-Mead", control = list(reltol = 1e-16, maxit = 5000))
    p <- o$par; h <- 1e-3
    d2 <- function(i, j) { e <- function(a, b) { q <- p; q[i] <- q[i] + a; q[j] <- q[j] + b; B(q) }
      one <- function(h) if (i == j) (e(h, 0) - 2 * B(p) + e(-h, 0)) / h^2 else (e(h, h) - e(h, -h) - e(-h, h) + e(-h, -h)) / (4 * h^2)
      (4 * one(h / 2) - one(h)) / 3 }
    H <- -matrix(c(d2(1, 1), d2(1, 2), d2(1, 2), d2(2, 2)), 2)
    add(s, "BB", "mean", p[1]); add(s, "BB", "phi", exp(-p[2])); add(s, "BB", "se", sqrt(solve(H)[1, 1])); add(s, "BB", "log_likelihood", B(p)) }
}
write.csv(do.call(rbind, rows), "meta_counts.csv", row.names = FALSE, quote = FALSE)
