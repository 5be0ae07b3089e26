# Writes interval_data.csv and interval_censored.csv. R 4.2.2, survival 3.5.3 (pbcseq, survreg), msm 1.7 (cav).
# The non-parametric maxima are computed here in plain R, and accepted only where the Kuhn-Tucker conditions hold to 1e-10;
# interval and icenReg: packages/intervals.R. p06 of the public cases was made with interval::icfit and ictest.
# pbcseq: bilirubin first seen at 3 or more, in those below 3 on day 0; x1 = trt, x2 = age / 10.
# cav: allograft vasculopathy first seen (state 2 or worse) in those without at the first visit; death censors at the
# last visit; x1 = ischaemic heart disease as the diagnosis, x2 = donor age / 10.
suppressMessages({library(survival); library(msm)})
options(digits = 17)
one <- function(name, left, right, x1, x2) data.frame(data_set = name, left = left, right = right, x1 = x1, x2 = x2)
first_seen <- function(d, name) do.call(rbind, lapply(split(d, d$id), function(z) {
  if (z$bad[1]) return(NULL)
  k <- which(z$bad)[1]
  if (is.na(k)) one(name, max(z$time), Inf, z$x1[1], z$x2[1]) else one(name, z$time[k - 1], z$time[k], z$x1[1], z$x2[1])
}))
p <- read.csv("turnbull.csv", comment.char = "#"); p06 <- one("p06", p$left, ifelse(is.na(p$right), Inf, p$right), p$arm, 0)
q <- with(pbcseq, data.frame(id = id, time = day, bad = bili >= 3, x1 = trt, x2 = age / 10))
k <- subset(cav, state != 4); k <- data.frame(id = k$PTNUM, time = k$years, bad = k$state > 1, x1 = 1 * (k$pdiag == "IHD"), x2 = k$dage / 10)
k <- k[!is.na(k$x1) & !is.na(k$x2), ]
d <- rbind(p06, first_seen(q, "pbcseq"), first_seen(k, "cav"))
d <- d[d$right > 0, ]
d$x2[d$data_set == "p06"] <- rep_len(c(3.1, 4.7, 2.9, 5.2, 4.4), sum(d$data_set == "p06"))   # a made-up second covariate

places <- function(L, R) {                       # maximal intersections of (L, R]
  e <- rbind(data.frame(t = L, is_end = 0), data.frame(t = R, is_end = 1))
  e <- e[order(e$t, -e$is_end), ]                # at one time ends come first: (1, 2] and (2, 3] do not meet
  i <- which(e$is_end[-nrow(e)] == 0 & e$is_end[-1] == 1)
  list(lower = e$t[i], upper = e$t[i + 1])
}
npmle <- function(L, R) {
  s <- places(L, R); n <- length(L); m <- length(s$upper)
  A <- outer(L, s$lower, "<=") & outer(R, s$upper, ">="); A <- A * 1
  p <- rep(1 / m, m); for (i in 1:500) p <- p * colSums(A / as.vector(A %*% p)) / n
  use <- p > 1e-4
  for (round in 1:200) {
    q <- ifelse(use, pmax(p, 1e-6), 0); q <- q / sum(q)
    f <- function(v) sum(log(A[, use, drop = FALSE] %*% v)) - n * sum(v)
    v <- q[use]
    for (i in 1:200) {
      B <- A[, use, drop = FALSE] / as.vector(A[, use, drop = FALSE] %*% v)
      g <- colSums(B) - n; step <- as.vector(solve(crossprod(B) + diag(1e-10, length(v)), g))
      if (max(abs(step)) < 1e-15) break
      lim <- min(1, ifelse(step < 0, -v / step, Inf)); len <- lim
      while (f(v + len * step) < f(v) - 1e-13 && len > 1e-12) len <- len / 2
      v <- v + len * step
      if (any(v <= 1e-13)) { keep <- v > 1e-13; use[use] <- keep; v <- v[keep] }
    }
    p <- rep(0, m); p[use] <- v; p <- p / sum(p)
    g <- colSums(A / as.vector(A %*% p)) / n
    if (max(g) <= 1 + 1e-10) break
    use <- p > 0 | g == max(g)
  }
  stopifnot(max(g) <= 1 + 1e-10, max(abs(g[p > 0] - 1)) < 1e-9)
  list(upper = s$upper, p = p, loglik = sum(log(A %*% p)), lower = s$lower, A = A)
}
S_at <- function(fit, t) 1 - sum(fit$p[fit$upper <= t])
rows <- list(); put <- function(data_set, what, at, value) rows[[length(rows) + 1]] <<- data.frame(data_set, what, at = at, value = value)

scores <- function(fit, kind) {
  S <- pmax(c(1, 1 - cumsum(fit$p)), 0); S[length(S)] <- 0; n <- nrow(fit$A)
  a <- if (kind == "sun") -S * c(0, cumsum(ifelse(S[-length(S)] > 0, fit$p / S[-length(S)], 0))) else
       if (kind == "finkelstein") ifelse(S > 0, S * log(S), 0) else S * (S - 1)
  first <- apply(fit$A, 1, function(z) which(z > 0)[1]); last <- apply(fit$A, 1, function(z) max(which(z > 0)))
  (a[first] - a[last + 1]) / (S[first] - S[last + 1])
}
ph <- function(fit, X) {                          # free baseline: increments at the intersections, bounds at 0
  first <- apply(fit$A, 1, function(z) which(z > 0)[1]); last <- apply(fit$A, 1, function(z) max(which(z > 0)))
  m <- ncol(fit$A); np <- ncol(X)
  parts <- function(par) {
    r <- exp(as.vector(X %*% par[1:np])); H <- c(0, cumsum(par[-(1:np)]), Inf)
    low <- r * H[first]; gap <- r * H[last + 1] - low
    list(r = r, low = low, gap = gap, q = ifelse(is.finite(gap), 1 / expm1(pmin(gap, 700)), 0))
  }
  nll <- function(par) { z <- parts(par); v <- -sum(-z$low + log1p(-exp(-z$gap))); if (is.finite(v)) v else 1e10 }
  gr <- function(par) {
    z <- parts(par); eta <- -z$low + ifelse(is.finite(z$gap), z$q * z$gap, 0)
    node <- numeric(m + 1)
    for (i in seq_along(first)) { node[first[i]] <- node[first[i]] - z$r[i] * (1 + z$q[i]); node[last[i] + 1] <- node[last[i] + 1] + z$r[i] * z$q[i] }
    -c(as.vector(crossprod(X, eta)), rev(cumsum(rev(node[2:m]))))
  }
  H0 <- -log(pmax(1 - cumsum(fit$p[-m]), 1e-8)); start <- c(rep(0, np), pmax(diff(c(0, H0)), 1e-4))
  lower <- c(rep(-Inf, np), rep(0, m - 1))
  for (i in 1:20) start <- nlminb(start, nll, gr, lower = lower, control = list(iter.max = 5000, eval.max = 10000, rel.tol = 1e-15, x.tol = 1e-15))$par
  use <- c(rep(TRUE, np), start[-(1:np)] > 1e-7); par <- ifelse(use, start, 0)
  hess <- function(par) { h <- 1e-6; k <- which(use); t(sapply(k, function(j) { u <- l <- par; u[j] <- u[j] + h; l[j] <- l[j] - h; ((gr(u) - gr(l)) / (2 * h))[k] })) }
  for (i in 1:30) { H <- hess(par); g <- gr(par)[use]; if (max(abs(g)) < 1e-9) break; par[use] <- par[use] - solve((H + t(H)) / 2, g) }
  g <- gr(par); cat("  PH: gradient", max(abs(g[use])), "unused >=", min(c(0, g[!use])), "increments", sum(use) - np, "\n")
  stopifnot(max(abs(g[use])) < 1e-7, min(g[!use], 0) > -1e-7, all(par[-(1:np)] >= 0))
  H <- hess(par); V <- solve((H + t(H)) / 2)
  list(coef = par[1:np], var = V[1:np, 1:np, drop = FALSE], loglik = -nll(par))
}
for (name in unique(d$data_set)) {
  z <- d[d$data_set == name, ]; cat(name, nrow(z), "patients\n")
  fit <- npmle(z$left, z$right); put(name, "npmle_loglik", NA, fit$loglik)
  at <- sort(unique(c(z$left, z$right[is.finite(z$right)]))); at <- at[unique(round(seq(1, length(at), length.out = 40)))]
  put(name, "npmle_survival", at, sapply(at, S_at, fit = fit))
  for (kind in c("sun", "finkelstein", "wilcoxon")) {
    s <- scores(fit, kind); g <- z$x1; u <- sum((s - mean(s)) * (g - mean(g)))
    put(name, paste0("score_", kind), NA, u^2 / (sum((g - mean(g))^2) * var(s)))
  }
  L <- ifelse(z$left == 0, NA, z$left); R <- ifelse(is.finite(z$right), z$right, NA)
  for (dist in c("weibull", "exponential", "lognormal")) {
    w <- survreg(Surv(L, R, type = "interval2") ~ x1 + x2, data = z, dist = dist, control = survreg.control(rel.tolerance = 1e-14, maxiter = 500))
    put(name, paste0(dist, "_coef"), 0:2, unname(coef(w))); put(name, paste0(dist, "_scale"), NA, w$scale)
    put(name, paste0(dist, "_loglik"), NA, w$loglik[2]); put(name, paste0(dist, "_var"), seq_along(w$var), as.vector(w$var))
  }
  h <- ph(fit, cbind(z$x1, z$x2)); put(name, "ph_coef", 1:2, h$coef); put(name, "ph_var", 1:4, as.vector(h$var)); put(name, "ph_loglik", NA, h$loglik)
}
# exact times among the intervals, for the densities: half of pbcseq known to the day
z <- d[d$data_set == "pbcseq", ]; exact <- seq_len(nrow(z)) %% 2 == 0 & is.finite(z$right); z$left[exact] <- z$right[exact]; z$data_set <- "pbcseq_exact"
d <- rbind(d, z); L <- ifelse(z$left == 0, NA, z$left); R <- ifelse(is.finite(z$right), z$right, NA)
for (dist in c("weibull", "exponential", "lognormal")) {
  w <- survreg(Surv(L, R, type = "interval2") ~ x1 + x2, data = z, dist = dist, control = survreg.control(rel.tolerance = 1e-14, maxiter = 500))
  put("pbcseq_exact", paste0(dist, "_coef"), 0:2, unname(coef(w))); put("pbcseq_exact", paste0(dist, "_scale"), NA, w$scale)
  put("pbcseq_exact", paste0(dist, "_loglik"), NA, w$loglik[2]); put("pbcseq_exact", paste0(dist, "_var"), seq_along(w$var), as.vector(w$var))
}
f <- function(x) ifelse(is.na(x), "", ifelse(is.finite(x), sprintf("%.17g", x), "inf"))
for (x in c("left", "right", "x1", "x2")) d[[x]] <- f(d[[x]])
out <- do.call(rbind, rows); out$at <- f(out$at); out$value <- f(out$value)
write.csv(d, "interval_data.csv", row.names = FALSE, quote = FALSE); write.csv(out, "interval_censored.csv", row.names = FALSE, quote = FALSE)
