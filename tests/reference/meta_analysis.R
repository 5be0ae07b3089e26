# Writes meta_effects.csv, meta_normal.csv, meta_influence.csv. R 4.2.2, metafor 3.8.1, clubSandwich 0.5.8, iterative fits with
# control = list(threshold = 1e-14, tol = 1e-14, maxiter = 10000). Data: BCG vaccine trials (p10_meta.csv, log risk ratios), treatment deaths
# after aHSCT (seven series of the evidence table, logit with 1/2 where needed), a homogeneous set (tau2 = 0 by every method), and
# five made-up estimates (log hazard ratios that contradict each other).
suppressMessages({library(metafor); library(clubSandwich)})
ctrl <- list(threshold = 1e-14, tol = 1e-14, maxiter = 10000)
g <- function(x) sprintf("%.17g", x)
bcg <- read.csv("p10_meta.csv"); e <- escalc("RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = bcg)
deaths <- data.frame(x = c(1, 0, 3, 3, 8, 2, 1), n = c(24, 24, 41, 210, 281, 35, 26)); d <- escalc("PLO", xi = x, ni = n, data = deaths)
sets <- list(bcg = list(y = as.numeric(e$yi), v = e$vi, m = bcg$ablat, cl = c(1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8, 9)),
  deaths = list(y = as.numeric(d$yi), v = d$vi, m = c(2016, 2017, 2010, 2021, 2017, 2011, 2003), cl = c(1, 2, 3, 4, 4, 5, 5)),
  equal = list(y = c(0.30, 0.32, 0.28, 0.31, 0.29), v = c(0.04, 0.09, 0.05, 0.02, 0.06), m = c(1, 2, 3, 4, 6), cl = c(1, 1, 2, 3, 4)),
  five = list(y = c(-2.66, -1.31, -0.69, -0.6, 0.4), v = c(0.40, 0.36, 0.06, 0.065, 0.146), m = c(1, 0, 0, 0, 1), cl = c(1, 2, 2, 3, 4)))
rows <- list(); inf <- list()
for (s in names(sets)) { z <- sets[[s]]
  add <- function(method, test, what, value) rows[[length(rows) + 1]] <<- data.frame(set = s, tau2 = method, test = test, what = what, value = g(value))
  for (m in c("EE", "DL", "PM", "REML", "ML")) for (t in c("z", "knha", "adhoc")) { if (m == "EE" && t != "z") next
    f <- suppressWarnings(rma(z$y, z$v, method = m, test = t, control = ctrl))
    vals <- c(mean = f$beta[1], se = f$se, lower = f$ci.lb, upper = f$ci.ub, p = f$pval, tau2 = f$tau2, q = f$QE, q_p = f$QEp, i2 = f$I2 / 100, h2 = f$H2)
    if (m != "EE") { p <- predict(f); vals <- c(vals, pi_lower = p$pi.lb, pi_upper = p$pi.ub) }
    for (w in names(vals)) add(m, t, w, vals[[w]])
    h <- suppressWarnings(rma(z$y, z$v, mods = ~ z$m, method = m, test = t, control = ctrl))
    for (i in 1:2) for (w in c("beta", "se", "pval")) add(m, t, paste0("reg_", w, "_", i), as.numeric(h[[w]])[i])
    add(m, t, "reg_tau2", h$tau2)
  }
  f <- rma(z$y, z$v, control = ctrl); q <- confint(f, control = list(tol = 1e-14, maxiter = 10000))$random
  add("REML", "z", "qp_lower", q[1, 2]); add("REML", "z", "qp_upper", q[1, 3])
  r <- regtest(f, model = "rma"); add("REML", "z", "egger_slope", r$fit$beta[2]); add("REML", "z", "egger_p", r$pval)
  k <- suppressWarnings(ranktest(f)); add("REML", "z", "kendall", k$tau); add("REML", "z", "kendall_p", k$pval)
  c1 <- robust(f, cluster = z$cl); add("REML", "robust", "cr1_se", c1$se); add("REML", "robust", "cr1_p", c1$pval)
  c2 <- coef_test(f, vcov = "CR2", cluster = z$cl, test = "Satterthwaite"); add("REML", "robust", "cr2_se", c2$SE); add("REML", "robust", "cr2_df", c2$df); add("REML", "robust", "cr2_p", c2$p_Satt)
  h <- rma(z$y, z$v, mods = ~ z$m, control = ctrl); c3 <- coef_test(h, vcov = "CR2", cluster = z$cl, test = "Satterthwaite")
  if (s != "equal") for (i in 1:2) { add("REML", "robust", paste0("reg_cr2_se_", i), c3$SE[i]); add("REML", "robust", paste0("reg_cr2_df_", i), c3$df[i]) }
  if (length(z$y) <= 7) { h <- suppressWarnings(rma(z$y, z$v, mods = ~ z$m, method = "DL", test = "knha")); p <- permutest(h, exact = TRUE, progbar = FALSE)
    add("DL", "knha", "perm_p_1", p$pval[1]); add("DL", "knha", "perm_p_2", p$pval[2]) }
  for (t in c("z", "knha")) { f <- suppressWarnings(rma(z$y, z$v, method = "DL", test = t)); i <- influence(f)$inf; l <- suppressWarnings(leave1out(f))
    inf[[paste(s, t)]] <- data.frame(set = s, test = t, study = seq_along(z$y) - 1, estimate = g(l$estimate), lower = g(l$ci.lb), upper = g(l$ci.ub), tau2 = g(i$tau2.del),
      q = g(i$QE.del), rstudent = g(i$rstudent), dffits = g(i$dffits), cook_distance = g(i$cook.d), covariance_ratio = g(i$cov.r), hat = g(i$hat), weight = g(i$weight / 100)) }
}
write.csv(do.call(rbind, rows), "meta_normal.csv", row.names = FALSE, quote = FALSE)
write.csv(do.call(rbind, inf), "meta_influence.csv", row.names = FALSE, quote = FALSE)
eff <- list()
for (m in c("PLO", "PAS", "PFT")) { r <- escalc(m, xi = deaths$x, ni = deaths$n); p <- rma(r, method = "DL")
  b <- switch(m, PLO = transf.ilogit(p$beta[1]), PAS = transf.iarcsin(p$beta[1]), PFT = transf.ipft.hm(p$beta[1], targs = list(ni = deaths$n)))
  eff[[m]] <- data.frame(measure = m, x = deaths$x, n = deaths$n, y = g(as.numeric(r$yi)), v = g(r$vi), pooled = g(b)) }
r <- escalc("IRLN", xi = deaths$x, ti = deaths$n); eff[["IRLN"]] <- data.frame(measure = "IRLN", x = deaths$x, n = deaths$n, y = g(as.numeric(r$yi)), v = g(r$vi), pooled = "")
write.csv(do.call(rbind, eff), "meta_effects.csv", row.names = FALSE, quote = FALSE)
