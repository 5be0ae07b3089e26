# Writes before_after_data.csv and before_after.csv. R 4.2.2. Data: geepack's seizure (treated arm: 8 weeks before, 8
# after), survival's cgd (interferon arm: first 120 days, the rest) and bladder1 (placebo: first 12 months, the rest).
# conditional: own code; given the totals the sum after is a convolution of dbinom at each ratio; uniroot on its tails
# (tol 1e-13), p: outcomes no likelier. gee: geepack 1.3.9, geeglm(count ~ after + offset(log(years)), poisson, id,
# corstr, control = geese.control(epsilon = 1e-12, maxit = 500)). mixed: lme4 1.1.31, glmer(count ~ after + (1 | id),
# offset = log(years), poisson, nAGQ = 25, bobyqa with rhoend = 1e-10, tolPwrss = 1e-13); its deviance minimised again
# by nlminb; errors from numDeriv's hessian of that deviance in (sd, coefficients).
library(geepack); library(lme4); library(survival); library(numDeriv)
f <- function(x) ifelse(is.na(x), "", sprintf("%.17g", x))
data(seizure); s <- seizure[seizure$trt == 1, ]
sets <- list(seizure = data.frame(n_before = s$base, years_before = 8 / 52, n_after = s$y1 + s$y2 + s$y3 + s$y4, years_after = 8 / 52))
split_at <- function(id, stop, event, cut, end) { do.call(rbind, lapply(unique(id), function(i) { k <- id == i; e <- end[k][1]
  data.frame(n_before = sum(event[k] & stop[k] <= cut), years_before = min(e, cut), n_after = sum(event[k] & stop[k] > cut), years_after = max(0, e - cut)) })) }
c1 <- cgd[cgd$treat == "rIFN-g", ]; sets$cgd <- split_at(c1$id, c1$tstop, c1$status == 1, 120, ave(c1$tstop, c1$id, FUN = max))
b1 <- bladder1[bladder1$treatment == "placebo" & bladder1$stop > 0, ]; sets$bladder <- split_at(b1$id, b1$stop, b1$status == 1, 12, ave(b1$stop, b1$id, FUN = max))
sets$cgd[, c(2, 4)] <- sets$cgd[, c(2, 4)] / 365.25; sets$bladder[, c(2, 4)] <- sets$bladder[, c(2, 4)] / 12
sets$none_after <- data.frame(n_before = c(3, 0, 7, 2), years_before = c(2, 1, 4, 1.5), n_after = 0, years_after = c(5, 0.5, 8, 3))
sets$none_before <- data.frame(n_before = 0, years_before = c(2, 1, 4), n_after = c(1, 0, 2), years_after = c(5, 0.5, 8))
rows <- list(); add <- function(set, method, est, se = NA, lo = NA, up = NA, p = NA, extra = NA) rows[[length(rows) + 1]] <<-
  data.frame(set, method, log_ratio = f(est), std_error = f(se), lower = f(lo), upper = f(up), p_value = f(p), extra = f(extra))
for (set in names(sets)) {
  d <- sets[[set]]; d <- d[d$years_after > 0, ]; n <- nrow(d); t <- d$n_before + d$n_after; r <- d$years_after / d$years_before; S <- sum(d$n_after); T <- sum(t)
  pmf <- function(rho) { p <- 1; for (i in seq_len(n)) { q <- dbinom(0:t[i], t[i], rho * r[i] / (1 + rho * r[i])); p <- rowSums(outer(seq_len(length(p) + t[i]), seq_along(q), function(a, b) ifelse(a - b >= 0 & a - b < length(p), p[pmax(1, pmin(length(p), a - b + 1))] * q[b], 0))) }; p }
  root <- function(g) uniroot(g, c(-9, 9), tol = 1e-13)$root
  est <- if (S == 0 || S == T) NA else root(function(l) sum(t * exp(l) * r / (1 + exp(l) * r)) - S)
  lo <- if (S == 0) 0 else exp(root(function(l) sum(pmf(exp(l))[(S + 1):(T + 1)]) - 0.025)); up <- if (S == T) NA else exp(root(function(l) sum(pmf(exp(l))[1:(S + 1)]) - 0.025))
  p <- pmf(1); add(set, "conditional", est, lo = lo, up = up, p = sum(p[p <= p[S + 1] * (1 + 1e-7)]))
  if (S == 0 || S == T) next
  long <- data.frame(id = rep(seq_len(n), each = 2), after = rep(0:1, n), count = as.vector(rbind(d$n_before, d$n_after)), years = as.vector(rbind(d$years_before, d$years_after)))
  for (cs in c("independence", "exchangeable")) { g <- geeglm(count ~ after + offset(log(years)), poisson, long, id = id, corstr = cs, control = geese.control(epsilon = 1e-12, maxit = 500))
    add(set, cs, coef(g)[2], sqrt(g$geese$vbeta[2, 2]), extra = if (cs == "exchangeable") g$geese$alpha else g$geese$gamma) }
  form <- count ~ after + offset(log(years)) + (1 | id); ctl <- glmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5), tolPwrss = 1e-13)
  m <- glmer(form, long, poisson, nAGQ = 25, control = ctl); dev <- update(m, devFunOnly = TRUE); o <- nlminb(c(getME(m, "theta"), fixef(m)), dev, lower = c(0, -Inf, -Inf), control = list(rel.tol = 1e-14, x.tol = 1e-12))
  se <- sqrt(2 * solve(hessian(dev, o$par)))[3, 3]; add(set, "mixed", o$par[3], se, extra = o$par[1])
}
all <- do.call(rbind, lapply(names(sets), function(k) cbind(set = k, sets[[k]]))); all[] <- lapply(all, function(v) if (is.numeric(v)) f(v) else v)
write.csv(all, "before_after_data.csv", row.names = FALSE, quote = FALSE)
write.csv(do.call(rbind, rows), "before_after.csv", row.names = FALSE, quote = FALSE)
