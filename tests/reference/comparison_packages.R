# Writes comparison_packages.csv and matching_packages.csv: propensity weights, their balance, matching, MAIC and E-values by R packages.
# Data: comparison_data.csv, matching_data.csv, e_value.csv (of comparison.R, matching.R, e_value.R). Weights: weightit(treated ~ x1 + x2 + x3,
# method = "glm", estimand = "ATE" / "ATT" / "ATO", epsilon = 1e-14). Balance: cobalt::bal.tab(continuous = binary = "std", s.d.denom = "pooled",
# un = TRUE), which takes the variance p (1 - p) of covariates with two values and is kept for the others only; all, with variances of
# divisor n - 1, by col_w_smd(bin.vars = FALSE). Effective sample sizes: cobalt's. MAIC: maicplus::estimate_weights (optim, BFGS, reltol = 1e-16,
# maxit = 1e4). E-values: EValue::evalues.HR, OR, RR. Pairs: MatchIt::matchit(method = "nearest", distance = logit, m.order =
# "largest", caliper in units of the logit, std.caliper = FALSE).
suppressMessages({library(WeightIt); library(cobalt); library(MatchIt); library(maicplus); library(EValue)})
f <- function(x) sprintf("%.17g", x); rows <- pairs <- list()
add <- function(set, what, group, term, value) rows[[length(rows) + 1]] <<- data.frame(set, what, group, term, value = f(value))
target <- list(lalonde = c(3.1, 11, 0.3), gbsg = c(5.3, 0.85, 2), veteran = c(6, 6, 0.4)); x <- c("x1", "x2", "x3")
at <- list(lalonde = c(1000, 5000, 10000), gbsg = c(500, 1000, 1800), veteran = c(50, 100, 200))
all <- read.csv("comparison_data.csv")
for (set in names(target)) {
  d <- all[all$set == set, ]; for (e in c(ate = "ATE", att = "ATT", overlap = "ATO")) { kind <- c(ATE = "ate", ATT = "att", ATO = "overlap")[[e]]
    w <- weightit(treated ~ x1 + x2 + x3, d, method = "glm", estimand = e, epsilon = 1e-14, maxit = 100)
    for (g in 1:0) { name <- c("comparator", "treated")[g + 1]; k <- d$treated == g & d$id %% 10 == 0  # every tenth patient's
      add(set, paste(kind, "weight"), name, d$id[k], w$weights[k]) }
    b <- bal.tab(w, continuous = "std", binary = "std", s.d.denom = "pooled", un = TRUE, thresholds = NULL)
    n <- b$Observations; add(set, paste(kind, "ess"), c("comparator", "treated"), "", as.numeric(n["Adjusted", ]))
    many <- sapply(x, function(v) length(unique(d[[v]])) > 2)
    for (v in x[many]) { add(set, paste(kind, "bal.tab"), "weighted", v, b$Balance[v, "Diff.Adj"]); if (kind == "ate") add(set, "bal.tab", "unweighted", v, b$Balance[v, "Diff.Un"]) }
    add(set, paste(kind, "smd"), "weighted", x, col_w_smd(as.matrix(d[, x]), d$treated, w$weights, s.d.denom = "pooled", bin.vars = rep(FALSE, 3)))
    if (kind == "ate") add(set, "smd", "unweighted", x, col_w_smd(as.matrix(d[, x]), d$treated, s.d.denom = "pooled", bin.vars = rep(FALSE, 3))) }
  seen <- d[d$event == 1, ]; for (e in c(ate = "ATE", att = "ATT", overlap = "ATO")) { w <- weightit(treated ~ x1 + x2 + x3, seen, method = "glm", estimand = e, epsilon = 1e-14, maxit = 100)
    for (time in at[[set]]) { seen$free <- as.numeric(seen$time > time); m <- lm_weightit(free ~ treated, seen, weightit = w, vcov = "asympt")
      add(set, paste(c(ATE = "ate", ATT = "att", ATO = "overlap")[[e]], c("difference", "difference_error")), "", time, c(coef(m)[["treated"]], sqrt(vcov(m)["treated", "treated"]))) } }
  own <- d[d$treated == 1, ]; for (i in 1:3) own[[paste0(x[i], "_CENTERED")]] <- own[[x[i]]] - target[[set]][i]
  m <- estimate_weights(own, paste0(x, "_CENTERED"), boot_strata = NULL, reltol = 1e-16, maxit = 1e4)
  add(set, "maic ess", "treated", "", m$ess); k <- own$id %% 10 == 0; add(set, "maic share", "treated", own$id[k], (m$data$weights / sum(m$data$weights))[k])
}
all <- read.csv("matching_data.csv"); for (set in names(target)) { d <- all[all$set == set, ]; rownames(d) <- d$id
  s <- predict(glm(treated ~ x1 + x2 + x3 + x4 + x5, binomial, d, control = glm.control(epsilon = 1e-14, maxit = 100)))
  for (cal in c(Inf, 0.2, 0.02)) { m <- matchit(treated ~ x1 + x2 + x3 + x4 + x5, d, method = "nearest", distance = s, m.order = "largest",
      caliper = if (is.finite(cal)) cal * sd(s), std.caliper = FALSE)$match.matrix
    m <- m[!is.na(m[, 1]), , drop = FALSE]; pairs[[length(pairs) + 1]] <- data.frame(set, caliper = cal, treated = rownames(m), partner = m[, 1]) } }
r <- read.csv("e_value.csv"); for (i in seq_len(nrow(r))) { q <- r[i, ]
  e <- switch(q$measure, hazard_ratio = evalues.HR(q$estimate, q$lower, q$upper, rare = !q$common), odds_ratio = evalues.OR(q$estimate, q$lower, q$upper, rare = !q$common),
    rate_ratio = evalues.RR(q$estimate, q$lower, q$upper))["E-values", ]
  add(q$name, paste("E", if (q$common) "common" else "rare"), q$measure, c("estimate", "limit"), c(e[["point"]], if (q$estimate >= 1) e[["lower"]] else e[["upper"]])) }
header <- paste("# made by comparison_packages.R with", R.version.string, paste(sapply(c("WeightIt", "cobalt", "maicplus", "EValue"), function(p) paste(p, packageVersion(p))), collapse = ", "))
out <- do.call(rbind, rows); writeLines(c(header, "set,what,group,term,value", paste(out$set, out$what, out$group, out$term, out$value, sep = ",")), "comparison_packages.csv")
out <- do.call(rbind, pairs); writeLines(c(paste("# made by comparison_packages.R with", R.version.string, "MatchIt", packageVersion("MatchIt")), "set,caliper,treated,partner", paste(out$set, out$caliper, out$treated, out$partner, sep = ",")), "matching_packages.csv")
