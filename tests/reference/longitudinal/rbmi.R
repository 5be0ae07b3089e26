# Reference-based imputation by rbmi: the conditional mean imputation of the data themselves, method_condmean(covariance = "us", same_cov =
# TRUE, REML = FALSE, type = "bootstrap", n_samples = 0), strategies MAR, JR, CR, CIR, then ancova on the baseline at the last visit. With dropout
# only, its conditional means are those of the regressions by visit that ahsct draws around: the mean over endless imputations is this number.
# rbmi fits by mmrm with its default tolerance, which leaves the means up to 1e-4 off; its call is given optimizer = "nlminb", optimizer_control =
# list(rel.tol = 1e-15, x.tol = 1e-15, sing.tol = 1e-40). "reml_" is REML = TRUE, rbmi's default.
# Data: chick_dropout.csv, orthodont_dropout.csv (of missing_data.R; with a patient without any value), and BodyWeight of nlme
# (diet 1 against 2 and 3, made to drop out).  Run: Rscript rbmi.R
suppressMessages({library(rbmi)})
tight <- rbmi:::fit_mmrm; body(tight) <- parse(text = sub("accept_singular = FALSE", paste("accept_singular = FALSE, optimizer = 'nlminb',",
  "optimizer_control = list(rel.tol = 1e-15, x.tol = 1e-15, sing.tol = 1e-40, eval.max = 5000, iter.max = 5000)"), deparse(body(tight)), fixed = TRUE))[[1]]
assignInNamespace("fit_mmrm", tight, "rbmi")
out <- NULL
keep <- function(case, name, value) out <<- rbind(out, data.frame(case = case, name = name, value = format(as.numeric(value), digits = 16)))
record <- function(case, w, nv) {
  long <- data.frame(group = factor(rep(w$group, each = nv)), arm = factor(rep(c("reference", "active")[w$arm + 1], each = nv), levels = c("reference", "active")),
    baseline = rep(w$baseline, each = nv), visit = factor(rep(1:nv, nrow(w))), y = as.vector(t(as.matrix(w[, paste0("v", 1:nv)]))))
  vars <- set_vars(subjid = "group", visit = "visit", outcome = "y", group = "arm", covariates = c("baseline*visit", "arm*visit"))
  gone <- aggregate(is.na(long$y), list(group = long$group), sum); gone <- gone[gone$x > 0, ]
  for (reml in c(FALSE, TRUE)) for (s in c(missing_at_random = "MAR", jump_to_reference = "JR", copy_reference = "CR", copy_increments = "CIR")) {
    ice <- data.frame(group = gone$group, visit = factor(nv - gone$x + 1, levels = 1:nv), strategy = s)
    d <- draws(long, ice, vars, method_condmean(covariance = "us", same_cov = TRUE, REML = reml, type = "bootstrap", n_samples = 0), quiet = TRUE)
    i <- impute(d, references = c(reference = "reference", active = "reference"))
    v <- vars; v$covariates <- "baseline"; a <- analyse(i, ancova, vars = v, visits = as.character(nv))
    keep(case, paste0(if (reml) "reml_", c(MAR = "missing_at_random", JR = "jump_to_reference", CR = "copy_reference", CIR = "copy_increments")[[s]]), a$results[[1]][[paste0("trt_", nv)]]$est) }
}
wide <- function(name) read.csv(paste0(name, ".csv"))
b <- nlme::BodyWeight; b <- subset(b, Time %in% c(1, 15, 43, 64))
b <- reshape(data.frame(group = as.integer(as.character(b$Rat)), arm = as.integer(b$Diet != 1), v = b$weight, visit = match(b$Time, c(1, 15, 43, 64)) - 1),
  idvar = c("group", "arm"), timevar = "visit", direction = "wide", sep = ""); names(b)[names(b) == "v0"] <- "baseline"; b <- b[order(b$group), ]
b$v3[b$group %in% c(2, 5, 9, 13)] <- NA; b[b$group == 11, c("v2", "v3")] <- NA    # made to drop out
write.csv(b, "bodyweight_dropout.csv", row.names = FALSE, quote = FALSE, na = "")
record("chick_dropout", wide("chick_dropout"), 3); record("orthodont_dropout", wide("orthodont_dropout"), 3); record("bodyweight_dropout", wide("bodyweight_dropout"), 3)
header <- paste("# made by rbmi.R with", R.version.string, "rbmi", packageVersion("rbmi"), "mmrm", packageVersion("mmrm"))
writeLines(c(header, "case,name,value", paste(out$case, out$name, trimws(out$value), sep = ",")), "rbmi.csv")
