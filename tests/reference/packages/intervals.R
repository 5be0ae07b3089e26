# Writes intervals_data.csv and intervals.csv. R 4.2.2, interval 1.1.1.0, icenReg 2.0.16; survival 3.5.3 (pbcseq), msm 1.7 (cav).
# Data: those of ../interval_data.csv (p06, pbcseq, cav, pbcseq_exact) and two more: bcos (interval; cosmetic result after
# radiotherapy, 94) and mice (icenReg; lung tumours, each seen once, at death, 144). Exact and censored times that tie: diabetes
# (icenReg; retinopathy by year of diabetes, 731).
# icfit(epsilon = 1e-10, maxit = 1e5, initfit = "initcomputeMLE"); on cav and mice its EM steps do not get there (1e-8 after
# five minutes, 3e-6): it starts from ic_np's masses there and checks its own gradient. ic_np(tol = 1e-14, maxIter = 1e5).
# Three groups: the row's number modulo 3. ictest(method = "pclt", mControl tsmethod "abs") on the fit of icfit; "exact.ce" for 9 patients of each arm of p06.
# ic_sp, ic_par stop where the log-likelihood gains less than 1e-10 (fixed in their code). ic_sp: Newton steps on its own
# profile likelihood (regStart with updateReg = FALSE) follow, by fourth-order differences.
suppressMessages({library(interval); library(icenReg)})
d <- read.csv("../interval_data.csv"); for (x in c("right", "x1")) d[[x]] <- as.numeric(d[[x]])
data(bcos); data(miceData); data(IR_diabetes)
more <- rbind(with(bcos, data.frame(data_set = "bcos", left, right, x1 = 1 * (treatment == "RadChem"))),
  with(miceData, data.frame(data_set = "mice", left = l, right = u, x1 = 1 * (grp == "ge"))),
  with(IR_diabetes, data.frame(data_set = "diabetes", left, right, x1 = 1 * (gender == "male"))))
more$x2 <- 0; d <- rbind(d, more)
rows <- list()
put <- function(package, data_set, what, value, at = seq_along(value)) rows[[length(rows) + 1]] <<- data.frame(package, data_set, what, at, value)
some <- function(x) x[unique(round(seq(1, length(x), length.out = 25)))]
curve <- function(package, name, upper, mass) { at <- some(upper[is.finite(upper)]); put(package, name, "survival", sapply(at, function(t) 1 - sum(mass[upper <= t])), at) }
profile_top <- function(x, start) {            # Newton steps on the profile likelihood of ic_sp; h in standard deviations
  s <- c(sd(x$x1), max(sd(x$x2), 1e-9)); ctl <- makeCtrls_icsp(maxIter = 1e5); ctl$updateReg <- FALSE; p <- length(start)
  f <- if (p == 2) cbind(left, right) ~ x1 + x2 else cbind(left, right) ~ x1
  at <- function(b) { ctl$regStart <- b; ic_sp(f, data = x, model = "ph", bs_samples = 0, controls = ctl)$llk }
  along <- function(j, h) replace(rep(0, p), j, h); b <- start
  for (i in 1:6) {
    g <- sapply(1:p, function(j) { h <- 0.005 / s[j]; (8 * (at(b + along(j, h)) - at(b - along(j, h))) - (at(b + along(j, 2 * h)) - at(b - along(j, 2 * h)))) / (12 * h) })
    if (i == 1) H <- matrix(sapply(1:p, function(j) sapply(1:p, function(k) { u <- along(j, 0.1 / s[j]); v <- along(k, 0.1 / s[k])
      (at(b + u + v) - at(b + u - v) - at(b - u + v) + at(b - u - v)) / (4 * 0.01 / s[j] / s[k]) })), p)
    b <- b - solve(H, g)
  }
  cat("  gradient", g * s[1:p], "\n"); list(b = b, loglik = at(b), nearby = start + 0.25 / s[1:p], at_nearby = at(start + 0.25 / s[1:p]))
}
for (name in unique(d$data_set)) {
  x <- d[d$data_set == name, ]; cat(name, nrow(x), "\n"); two <- sd(x$x2) > 0
  n <- ic_np(cbind(x$left, x$right), maxIter = 1e5, tol = 1e-14); put("icenReg", name, "loglik", n$llk)
  curve("icenReg", name, n$T_bull_Intervals[2, ], n$p_hat)
  start <- "initcomputeMLE"
  if (name %in% c("cav", "mice")) { start <- suppressWarnings(icfit(x$left, x$right, control = icfitControl(maxit = 1))); start$pf <- pmax(n$p_hat, 0) / sum(pmax(n$p_hat, 0)) }
  f <- icfit(x$left, x$right, control = icfitControl(epsilon = if (is.character(start)) 1e-10 else 1e-7, maxit = 1e5), initfit = start)
  cat("  icfit: largest excess of the gradient", f$error, "after", f$numit, "\n"); stopifnot(f$converge)
  put("interval", name, "loglik", sum(log(f$A %*% f$pf))); curve("interval", name, f$intmap[2, ], f$pf)
  three <- factor(seq_len(nrow(x)) %% 3)
  for (s in c("logrank1", "logrank2", "wmw")) {
    t <- ictest(x$left, x$right, x$x1, scores = s, icFIT = f, method = "pclt", mcontrol = mControl(tsmethod = "abs"))
    put("interval", name, paste0("two_", s), c(unname(t$statistic)^2, t$p.value))
    t <- ictest(x$left, x$right, three, scores = s, icFIT = f, method = "pclt")
    put("interval", name, paste0("three_", s), c(unname(t$statistic), t$p.value))
  }
  formula <- if (two) cbind(left, right) ~ x1 + x2 else cbind(left, right) ~ x1
  h <- ic_sp(formula, data = x, model = "ph", bs_samples = 0, controls = makeCtrls_icsp(maxIter = 1e5)); put("icenReg", name, "ph_loglik", h$llk)
  if (name %in% c("p06", "pbcseq", "cav", "bcos")) { t <- profile_top(x, unname(coef(h)))
    put("icenReg", name, "ph_coefficient", t$b); put("icenReg", name, "ph_loglik_top", t$loglik); put("icenReg", name, "ph_nearby", t$nearby); put("icenReg", name, "ph_loglik_nearby", t$at_nearby) }
  if (min(x$right) > 0 && !any(x$left == 0 & x$right == 0)) for (dist in c("weibull", "exponential", "lnorm")) {
    g <- ic_par(formula, data = x, model = "aft", dist = dist); b <- coef(g); k <- names(b) %in% c("x1", "x2")
    put("icenReg", name, paste0(dist, "_loglik"), g$llk); put("icenReg", name, paste0(dist, "_coefficient"), unname(b[k]))
    put("icenReg", name, paste0(dist, "_std_error"), sqrt(diag(g$var))[k])
    if (dist == "weibull") { g <- ic_par(formula, data = x, model = "ph", dist = dist); b <- coef(g); k <- names(b) %in% c("x1", "x2")
      put("icenReg", name, "weibull_log_hazard_ratio", unname(b[k])); put("icenReg", name, "weibull_log_hazard_ratio_error", sqrt(diag(g$var))[k]) }
  }
}
x <- d[d$data_set == "p06", ]; x <- do.call(rbind, lapply(split(x, x$x1), head, 9))
for (s in c("logrank1", "logrank2", "wmw")) put("interval", "p06_small", s, ictest(x$left, x$right, x$x1, scores = s, method = "exact.ce", mcontrol = mControl(tsmethod = "abs"))$p.value)
f <- function(x) ifelse(is.na(x), "", ifelse(is.finite(x), sprintf("%.17g", x), "inf"))
for (x in c("left", "right", "x1", "x2")) more[[x]] <- f(more[[x]])
out <- do.call(rbind, rows); for (x in c("at", "value")) out[[x]] <- f(out[[x]])
write.csv(more, "intervals_data.csv", row.names = FALSE, quote = FALSE); write.csv(out, "intervals.csv", row.names = FALSE, quote = FALSE)
