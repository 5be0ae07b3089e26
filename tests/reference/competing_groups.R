# Writes competing_groups_data.csv and competing_groups.csv. R 4.2.2, cmprsk 2.2.11 (cuminc: Gray's test; crr: Fine-Gray,
# gtol 1e-14), survival 3.5.3 (coxph, Efron ties: cause-specific hazards). Data as R ships them; rows with a missing
# covariate left out. melanoma: MASS 7.3.58.2. tiny: the example of gray_test.
suppressMessages({library(survival); library(cmprsk)}); data(Melanoma, package = "MASS")
one <- function(name, time, cause, group, stratum, x1, x2) data.frame(data_set = name, time, cause, group, stratum, x1, x2)
m <- mgus2[!is.na(mgus2$mspike), ]; own <- m$pstat == 1; p <- pbc[!is.na(pbc$trt), ]
d <- rbind(
  with(Melanoma, one("melanoma", time, c(1, 0, 2)[status], ulcer, sex, ulcer, log(thickness))),
  one("mgus2", ifelse(own, m$ptime, m$futime), ifelse(own, 1, 2 * m$death), as.integer(cut(m$age, c(0, 60, 75, 200))), 1 * (m$sex == "F"), m$age / 10, m$mspike),
  one("pbc", p$time, p$status, p$trt, 1 * (p$sex == "f"), p$trt, log(p$bili)),
  one("tiny", 1:6, c(1, 2, 1, 2, 1, 0), c(0, 1, 0, 1, 0, 1), 0, c(0, 1, 0, 1, 0, 1), 0))
rows <- list(); put <- function(data_set, what, cause, at, value) rows[[length(rows) + 1]] <<- data.frame(data_set, what, cause, at, value)
for (name in unique(d$data_set)) {
  z <- d[d$data_set == name, ]
  k <- cuminc(z$time, z$cause, z$group)$Tests; put(name, "gray", 1:2, 1, k[, "stat"])
  k <- cuminc(z$time, z$cause, z$group, rho = 1)$Tests; put(name, "gray_rho1", 1:2, 1, k[, "stat"])
  if (name == "tiny") next
  k <- cuminc(z$time, z$cause, z$group, z$stratum)$Tests; put(name, "gray_stratified", 1:2, 1, k[, "stat"])
  for (cause in 1:2) {
    f <- crr(z$time, z$cause, cbind(z$x1, z$x2), failcode = cause, gtol = 1e-14, maxiter = 100)
    put(name, "crr_coef", cause, 1:2, f$coef); put(name, "crr_var", cause, 1:4, as.vector(f$var)); put(name, "crr_loglik", cause, 1, f$loglik)
    f <- coxph(Surv(time, cause == cause_now) ~ x1 + x2, data = cbind(z, cause_now = cause), control = coxph.control(eps = 1e-14, iter.max = 100))
    put(name, "cox_coef", cause, 1:2, coef(f)); put(name, "cox_var", cause, 1:4, as.vector(vcov(f)))
  }
}
f <- function(x) sprintf("%.17g", x); out <- do.call(rbind, rows); out$value <- f(out$value)
for (x in c("time", "x1", "x2")) d[[x]] <- f(d[[x]])
write.csv(d, "competing_groups_data.csv", row.names = FALSE, quote = FALSE); write.csv(out, "competing_groups.csv", row.names = FALSE, quote = FALSE)
