# MMRM by mmrm::mmrm (REML): unstructured, AR(1), compound symmetry; df_1d and df_md by Satterthwaite and by Kenward-Roger.
# Call: mmrm(formula, d, covariance = us/ar1/cs(visit | group), reml = TRUE, control = mmrm_control(method, vcov, optimizer = "nlminb",
# optimizer_control = list(rel.tol = 1e-15, x.tol = 1e-15, sing.tol = 1e-40, eval.max = 5000, iter.max = 5000))).
# mmrm takes the observed information of the covariance parameters in Kenward and Roger's W (their paper and pbkrtest: the expected).
# "kr_": vcov "Kenward-Roger-Linear", without second derivatives of V, for unstructured V and compound symmetry (linear in the parameters of
# ahsct); for AR(1) vcov "Kenward-Roger", its second derivatives turned from mmrm's parameters (log SD, rho / sqrt(1 - rho^2)) to (variance, rho)
# by the chain rule on mmrm's own P and R. "krfull_" is vcov "Kenward-Roger" as it comes.
# Data: as repeated_measures.R; Orthodont with the girls' last visit and rows missing (an empty cell).
# Run: Rscript mmrm.R  (writes mmrm.csv, orthodont_empty.csv)
suppressMessages({library(mmrm); library(nlme)})
out <- NULL
keep <- function(case, name, value)
  out <<- rbind(out, data.frame(case = case, name = name, value = format(as.numeric(value), digits = 16)))
write_data <- function(name, d) write.csv(d, paste0(name, ".csv"), row.names = FALSE, quote = FALSE)
record <- function(case, d, formula, kind) {
  d$v <- factor(d$visit); d$group <- factor(d$group); X <- model.matrix(formula, d); X <- X[, colSums(abs(X)) > 0]  # empty cells out
  colnames(X) <- paste0("x", seq_len(ncol(X))); d <- cbind(d, X)
  f <- as.formula(paste("y ~ 0 +", paste(colnames(X), collapse = " + "), "+", kind, "(v | group)"))
  fit <- function(...) mmrm(f, d, reml = TRUE, control = mmrm_control(..., optimizer = "nlminb",
    optimizer_control = list(rel.tol = 1e-15, x.tol = 1e-15, sing.tol = 1e-40, eval.max = 5000, iter.max = 5000)))
  s <- fit(method = "Satterthwaite"); linear <- fit(method = "Kenward-Roger", vcov = "Kenward-Roger-Linear"); full <- fit(method = "Kenward-Roger", vcov = "Kenward-Roger")
  adjusted <- if (kind != "ar1") linear$beta_vcov_adj else { th <- component(full, "theta_est"); W <- component(full, "theta_vcov"); B <- full$beta_vcov; p <- ncol(X)
    slope <- c(2 * exp(2 * th[1]), (1 + th[2]^2)^-1.5); bend <- c(4 * exp(2 * th[1]), -3 * th[2] * (1 + th[2]^2)^-2.5)  # of variance and rho
    full$beta_vcov_adj - B %*% Reduce(`+`, lapply(1:2, function(a) W[a, a] * bend[a] / slope[a] * full$kr_comp$P[(a - 1) * p + 1:p, ])) %*% B / 2 }
  linear$beta_vcov_adj <- adjusted; keep(case, "log_likelihood", logLik(s)); V <- VarCorr(s); for (i in seq_len(nrow(V))) for (j in 1:i) keep(case, paste0("v_", i, "_", j), V[i, j])
  p <- ncol(X); for (i in 1:p) { L <- as.numeric(1:p == i)
    a <- df_1d(s, L); b <- df_1d(linear, L); z <- df_1d(full, L)
    keep(case, paste0("estimate_", i), a$est); keep(case, paste0("se_", i), a$se); keep(case, paste0("df_", i), a$df)
    keep(case, paste0("kr_se_", i), b$se); keep(case, paste0("kr_df_", i), b$df); keep(case, paste0("krfull_se_", i), z$se) }
  # several contrasts: all coefficients after the first equal to it
  M <- cbind(-1, diag(p - 1)); for (test in list(list("f", s), list("kr_f", linear))) { m <- df_md(test[[2]], M)
    keep(case, paste0(test[[1]], "_statistic"), m$f_stat); keep(case, paste0(test[[1]], "_denominator"), m$denom_df) }
}
cells <- y ~ factor(arm):v - 1; adjusted <- y ~ factor(arm):v + baseline:v - 1
empty <- read.csv("orthodont_gaps.csv"); empty <- empty[!(empty$arm == 1 & empty$visit == 14), ]; write_data("orthodont_empty", empty)
orthodont <- data.frame(y = Orthodont$distance, visit = Orthodont$age, arm = as.integer(Orthodont$Sex == "Female"), group = Orthodont$Subject)
for (kind in c("us", "ar1", "cs")) {
  record(paste0("orthodont_", kind), orthodont, cells, kind)
  record(paste0("orthodont_gaps_", kind), read.csv("orthodont_gaps.csv"), cells, kind)
  record(paste0("orthodont_empty_", kind), empty, cells, kind)
  if (kind != "cs") record(paste0("chick_", kind), read.csv("chick.csv"), adjusted, kind)
  record(paste0("sleep_", kind), read.csv("sleep_visits.csv"), y ~ v - 1, kind)
}
header <- paste("# made by mmrm.R with", R.version.string, "mmrm", packageVersion("mmrm"), "TMB", packageVersion("TMB"))
writeLines(c(header, "case,name,value", paste(out$case, out$name, trimws(out$value), sep = ",")), "mmrm.csv")
