# Reference values of the mixed model: REML by lme4, Satterthwaite degrees of freedom by lmerTest.
# Run: Rscript mixed_model.R  (writes mixed_model.csv and the data sets mixed_model_*.csv beside it)
suppressMessages({library(lme4); library(lmerTest)})
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-11, maxfun = 1e6),
                     check.conv.singular = "ignore")
out <- NULL
keep <- function(case, name, value)
  out <<- rbind(out, data.frame(case = case, name = name, value = format(value, digits = 16)))
record <- function(case, fit) {
  s <- summary(fit)$coefficients
  for (k in seq_len(nrow(s))) {
    keep(case, paste0("estimate_", k), s[k, 1]); keep(case, paste0("se_", k), s[k, 2])
    keep(case, paste0("df_", k), s[k, 3])
  }
  g <- as.matrix(VarCorr(fit)[[1]])
  for (i in seq_len(nrow(g))) for (j in seq_len(i)) keep(case, paste0("g_", i, j), g[i, j])
  keep(case, "residual_variance", sigma(fit)^2); keep(case, "log_likelihood", as.numeric(logLik(fit)))
}
write_data <- function(case, d) write.csv(d, paste0("mixed_model_", case, ".csv"), row.names = FALSE, quote = FALSE)

sleep <- data.frame(y = sleepstudy$Reaction, t = sleepstudy$Days, group = sleepstudy$Subject)
write_data("sleepstudy", sleep)
record("sleepstudy_slope", lmer(y ~ t + (t | group), sleep, control = tight))
record("sleepstudy_intercept", lmer(y ~ t + (1 | group), sleep, control = tight))

# unbalanced: 17 groups of 1 to 9 rows at uneven times
set.seed(20161)
unbalanced <- do.call(rbind, lapply(1:17, function(i) {
  n <- 1 + (i * 5) %% 9
  t <- round(sort(runif(n, 0, 9)), 2)
  data.frame(y = round(-1.2 * pmin(t, 2.5) - 0.23 * pmax(t - 2.5, 0) + rnorm(1, 0, 0.6) + rnorm(1, 0, 0.15) * t
                       + rnorm(n, 0, 0.4), 3), t = t, group = paste0("p", i))
}))
write_data("unbalanced", unbalanced)
record("unbalanced_intercept", lmer(y ~ pmin(t, 2.5) + pmax(t - 2.5, 0) + (1 | group), unbalanced, control = tight))
record("unbalanced_slope", lmer(y ~ t + (t | group), unbalanced, control = tight))

# no variance between groups: the estimate lies on the boundary
boundary <- data.frame(y = c(1.0, 3.1, 2.2, 3.0, 1.2, 2.6, 2.9, 1.1, 2.7), t = rep(0:2, 3), group = rep(c("a", "b", "c"), each = 3))
write_data("boundary", boundary)
record("boundary", lmer(y ~ t + (1 | group), boundary, control = tight))

# early drop that levels off, then a line; random intercept: Gauss-Newton on log tau, each step a fit of
# lmer. (nlme's method = "REML" keeps the variances of the unrestricted likelihood and only rescales
# them, so it is not the reference; with REML = FALSE these steps end where nlme's method = "ML" does.)
log_tau <- 0.46; A <- -3.4
for (step in 1:60) {
  unbalanced$drop <- 1 - exp(-unbalanced$t / exp(log_tau))
  unbalanced$slope_in_log_tau <- -A * exp(-unbalanced$t / exp(log_tau)) * unbalanced$t / exp(log_tau)
  fit <- lmer(y ~ drop + t + slope_in_log_tau + (1 | group), unbalanced, control = tight)
  log_tau <- log_tau + fixef(fit)[["slope_in_log_tau"]]; A <- fixef(fit)[["drop"]]
}
record("exponential", fit)
keep("exponential", "log_tau", log_tau)

header <- paste("# made by mixed_model.R with", R.version.string, "lme4", packageVersion("lme4"), "lmerTest", packageVersion("lmerTest"))
writeLines(c(header, "case,name,value", paste(out$case, out$name, trimws(out$value), sep = ",")), "mixed_model.csv")
