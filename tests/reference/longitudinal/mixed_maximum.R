# Largest restricted or full likelihood of mixed models with one, two or three random coefficients on made-up data.
# Each is fitted by lmer (lme4 1.1.31) with three optimisers, tightened, from three starts, and the best of the nine is kept.
# Run: Rscript tests/reference/longitudinal/mixed_maximum.R [data.csv [values.csv]], in the repository's root.
# Columns of the data: data_set, reml (1 or 0), patient, y, x1 (ones), x2, x3 (empty in sets of two columns) and
# q: the random coefficients are those of x1, of x1 and the last column, or of all.
suppressMessages(library(lme4))
given <- commandArgs(TRUE)
folder <- "tests/reference/longitudinal"
data <- read.csv(if (length(given)) given[1] else file.path(folder, "mixed_maximum_data.csv"), comment.char = "#")
controls <- list(
  lmerControl(optimizer = "bobyqa", calc.derivs = FALSE, optCtrl = list(maxfun = 1e5, rhoend = 1e-10), check.conv.singular = "ignore", check.nobs.vs.nRE = "ignore"),
  lmerControl(optimizer = "nloptwrap", calc.derivs = FALSE, optCtrl = list(maxeval = 1e5, xtol_abs = 1e-11, ftol_abs = 1e-11), check.conv.singular = "ignore", check.nobs.vs.nRE = "ignore"),
  lmerControl(optimizer = "Nelder_Mead", calc.derivs = FALSE, optCtrl = list(maxfun = 1e5, FtolAbs = 1e-11, XtolRel = 1e-12), check.conv.singular = "ignore", check.nobs.vs.nRE = "ignore")
)
rows <- lapply(split(data, data$data_set), function(d) {
  q <- d$q[1]; last <- if (all(is.na(d$x3))) "x2" else "x3"
  fixed <- if (last == "x2") "x1 + x2" else "x1 + x2 + x3"
  random <- switch(q, "1", paste("1 +", last), "1 + x2 + x3")
  formula <- as.formula(paste("y ~ 0 +", fixed, "+ (", random, "| patient)"))
  # the diagonal of theta: 1 (lme4's own start), then small and large with a correlation
  starts <- list(diag(q)[lower.tri(diag(q), TRUE)], rep(0.1, q * (q + 1) / 2), rep(3, q * (q + 1) / 2))
  fits <- expand.grid(control = seq_along(controls), start = seq_along(starts))
  values <- mapply(function(control, start)
    tryCatch(suppressWarnings(suppressMessages(as.numeric(logLik(lmer(formula, d, REML = d$reml[1] == 1, control = controls[[control]], start = starts[[start]]))))), error = function(e) NA),
    fits$control, fits$start)
  data.frame(data_set = d$data_set[1], log_likelihood = sprintf("%.12g", max(values, na.rm = TRUE)), spread = sprintf("%.1e", diff(range(values, na.rm = TRUE))))
})
out <- if (length(given) > 1) given[2] else file.path(folder, "mixed_maximum.csv")
writeLines(paste0("# Rscript tests/reference/longitudinal/mixed_maximum.R; R ", getRversion(), ", lme4 ", packageVersion("lme4")), out)
suppressWarnings(write.table(do.call(rbind, rows), out, sep = ",", row.names = FALSE, quote = FALSE, append = TRUE))
