# Rubin's rules: mice::pool.scalar. Imputation after dropout: with dropout only, the mean over endless imputations is known:
# each missing value replaced by its expectation under the least-squares regressions by visit, here in plain R for every
# assumption; and the pooled standard error under missing at random from 3,000 imputations by mice's "norm", visit by visit.
# Run: Rscript missing_data.R
suppressMessages({library(mice); library(nlme)})
out <- NULL
keep <- function(case, name, value)
  out <<- rbind(out, data.frame(case = case, name = name, value = format(as.numeric(value), digits = 16)))
write_data <- function(name, d) write.csv(d, paste0(name, ".csv"), row.names = FALSE, quote = FALSE, na = "")
rubin <- function(case, Q, U, n, k) {
  p <- pool.scalar(Q, U, n, k)
  for (i in seq_along(Q)) { keep(case, paste0("q_", i), Q[i]); keep(case, paste0("se_", i), sqrt(U[i])) }
  keep(case, "complete_df", n - k); keep(case, "estimate", p$qbar); keep(case, "variance", p$t); keep(case, "df", p$df); keep(case, "fmi", p$fmi) }
imp <- mice(nhanes, m = 20, method = "norm", seed = 1, printFlag = FALSE)
for (term in c("age", "bmi")) { f <- lapply(1:20, function(i) lm(chl ~ age + bmi, complete(imp, i)))
  rubin(paste0("rubin_nhanes_", term), sapply(f, function(g) coef(g)[[term]]), sapply(f, function(g) vcov(g)[term, term]), 25, 3) }
air <- mice(airquality[, 1:4], m = 5, method = "norm", seed = 2, printFlag = FALSE)
f <- lapply(1:5, function(i) lm(Ozone ~ Wind + Temp, complete(air, i)))
rubin("rubin_airquality", sapply(f, function(g) coef(g)[["Wind"]]), sapply(f, function(g) vcov(g)["Wind", "Wind"]), 153, 3)
rubin("rubin_large_sample", c(1.1, 0.7, 1.6, 0.9), c(0.2, 0.25, 0.22, 0.21), Inf, 1)

# dropout: columns group, arm (0 reference), baseline, visits v1 ..; y missing from some visit on
limit <- function(case, w, nv) {
  v <- paste0("v", 1:nv); X <- cbind(1, w$arm, w$baseline); Xr <- cbind(1, 0, w$baseline); Y <- as.matrix(w[, v])
  fit <- lapply(1:nv, function(t) { ok <- !is.na(Y[, t]); lm.fit(cbind(X, if (t > 1) Y[, 1:(t - 1), drop = FALSE])[ok, , drop = FALSE], Y[ok, t])$coefficients })
  mean_of <- function(Z) { M <- matrix(0, nrow(Z), nv); for (t in 1:nv) M[, t] <- cbind(Z, if (t > 1) M[, 1:(t - 1), drop = FALSE]) %*% fit[[t]]; M }
  own <- mean_of(X); ref <- mean_of(Xr)
  for (assumption in c("missing_at_random", "jump_to_reference", "copy_reference", "copy_increments")) {
    Z <- Y
    for (i in seq_len(nrow(w))) { last <- sum(!is.na(Y[i, ])); if (last == nv) next
      m <- switch(assumption, missing_at_random = own[i, ], copy_reference = ref[i, ],
        jump_to_reference = c(own[i, seq_len(last)], ref[i, (last + 1):nv]),
        copy_increments = if (last == 0) ref[i, ] else c(own[i, seq_len(last)], own[i, last] + ref[i, (last + 1):nv] - ref[i, last]))
      for (t in (last + 1):nv) Z[i, t] <- m[t] + if (t > 1) sum(fit[[t]][3 + 1:(t - 1)] * (Z[i, 1:(t - 1)] - m[1:(t - 1)])) else 0 }
    keep(case, assumption, lm.fit(X, Z[, nv])$coefficients[2])
  }
  d <- w[, c("arm", "baseline", v)]; P <- make.predictorMatrix(d); P[,] <- 0
  for (t in 1:nv) P[v[t], c("arm", "baseline", if (t > 1) v[1:(t - 1)])] <- 1
  i <- mice(d, m = 3000, maxit = 1, method = "norm", predictorMatrix = P, visitSequence = v, seed = 3, printFlag = FALSE)
  z <- summary(pool(with(i, lm(as.formula(paste(v[nv], "~ arm + baseline"))))))
  keep(case, "mice_estimate", z$estimate[2]); keep(case, "mice_se", z$std.error[2]); keep(case, "mice_df", z$df[2])
}
cw <- reshape(as.data.frame(ChickWeight)[ChickWeight$Time %in% c(0, 8, 14, 21) & ChickWeight$Diet %in% c(1, 3), ], idvar = c("Chick", "Diet"), timevar = "Time", direction = "wide")
chick <- data.frame(group = as.character(cw$Chick), arm = as.integer(cw$Diet == 3), baseline = cw$weight.0, v1 = cw$weight.8, v2 = cw$weight.14, v3 = cw$weight.21)
chick$v3[c(3, 7, 22, 25)] <- NA; chick[c(5, 24, 28), c("v2", "v3")] <- NA; chick[26, c("v1", "v2", "v3")] <- NA
write_data("chick_dropout", chick); limit("chick_dropout", chick, 3)
ow <- reshape(as.data.frame(Orthodont), idvar = c("Subject", "Sex"), timevar = "age", direction = "wide")
orthodont <- data.frame(group = as.character(ow$Subject), arm = as.integer(ow$Sex == "Female"), baseline = ow$distance.8, v1 = ow$distance.10, v2 = ow$distance.12, v3 = ow$distance.14)
orthodont$v3[c(2, 9, 18, 21, 25)] <- NA; orthodont[c(4, 20), c("v2", "v3")] <- NA
write_data("orthodont_dropout", orthodont); limit("orthodont_dropout", orthodont, 3)
header <- paste("# made by missing_data.R with", R.version.string, "mice", packageVersion("mice"), "nlme", packageVersion("nlme"))
writeLines(c(header, "case,name,value", paste(out$case, out$name, trimws(out$value), sep = ",")), "missing_data.csv")
