# Writes cox_data.csv and cox.csv. R 4.2.2, survival 3.5.3 (data sets as it ships them).
# coxph with control(eps = 1e-13, toler.chol = 1e-14, iter.max = 60). Firth's penalty: plain R below, maximised
# numerically over the penalised likelihood written out event by event; profile limits by uniroot on refitted models.
library(survival)
ctl <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 60)
f <- function(x) sprintf("%.17g", x)
one <- function(name, time, event, x1, x2, x3, entry = 0, id = seq_along(time), stratum = 0)
  data.frame(data_set = name, id = id, entry = entry, time = time, event = event, x1 = x1, x2 = x2, x3 = x3, stratum = stratum)
l <- lung[!is.na(lung$ph.ecog), ]; h <- heart
d <- rbind(
  with(veteran, one("veteran", time, status, trt - 1, karno, age, stratum = as.integer(celltype))),
  with(l, one("lung", time, status - 1, age, sex - 1, ph.ecog, stratum = 1 + (age >= 65))),
  with(h, one("heart", stop, event, age, year, as.integer(transplant) - 1, start, id, stratum = 1 + surgery)),
  with(rats, one("rats", time, status, rx, sex == "f", (litter * 7) %% 5, id = litter, stratum = 1 + litter %% 3)),
  with(aml, one("aml", time, status, x == "Maintained", (seq_along(time) * 3) %% 7, time %% 2)),
  with(ovarian, one("ovarian_empty_arm", futime, fustat, age > 44 & age < 50.2, rx - 1, resid.ds - 1)))
for (x in names(d)[-1]) d[[x]] <- f(as.numeric(d[[x]]))
write.csv(d, "cox_data.csv", row.names = FALSE, quote = FALSE)
for (x in names(d)[-1]) d[[x]] <- as.numeric(d[[x]])

rows <- list()
put <- function(data_set, model, quantity, value, name = seq_along(value))
  rows[[length(rows) + 1]] <<- data.frame(data_set, model, quantity, name, value = f(value))

penalised <- function(x, b, ties) {          # log partial likelihood + log|information| / 2, event by event
  X <- as.matrix(x[, c("x1", "x2", "x3")]); r <- exp(drop(X %*% b)); value <- 0; info <- matrix(0, 3, 3)
  for (s in unique(x$stratum)) for (t in unique(x$time[x$event == 1 & x$stratum == s])) {
    risk <- x$stratum == s & x$entry < t & x$time >= t; dead <- risk & x$time == t & x$event == 1; k <- sum(dead)
    value <- value + sum(X[dead, , drop = FALSE] %*% b)
    for (j in seq_len(k)) {
      w <- r * risk * (1 - (if (ties == "efron") (j - 1) / k else 0) * dead); m <- colSums(w * X) / sum(w)
      value <- value - log(sum(w)); info <- info + crossprod(X, w * X) / sum(w) - tcrossprod(m)
    }
  }
  list(value = value, penalised = value + as.numeric(determinant(info)$modulus) / 2, info = info)
}
climb <- function(fun, start) {               # nlminb, then Newton with gradients by differences of fourth order
  b <- nlminb(start, fun, control = list(rel.tol = 1e-14, x.tol = 1e-12))$par; h <- 2e-3; p <- length(b)
  along <- function(b, j, s) { b[j] <- b[j] + s; b }
  slope <- function(b) sapply(seq_len(p), function(j) (8 * (fun(along(b, j, h)) - fun(along(b, j, -h))) -
    (fun(along(b, j, 2 * h)) - fun(along(b, j, -2 * h)))) / (12 * h))
  bend <- matrix(sapply(seq_len(p), function(j) (slope(along(b, j, h)) - slope(along(b, j, -h))) / (2 * h)), p)
  for (i in 1:5) b <- b - solve(bend, slope(b))
  list(par = b, objective = fun(b))
}
for (name in unique(d$data_set)) {
  x <- d[d$data_set == name, ]; delayed <- any(x$entry > 0); empty <- name == "ovarian_empty_arm"
  y <- if (delayed) Surv(x$entry, x$time, x$event) else Surv(x$time, x$event)
  if (!empty) for (ties in c("efron", "breslow", "exact")) {
    fit <- coxph(y ~ x1 + x2 + x3, x, ties = ties, control = ctl, x = TRUE)
    put(name, ties, "coefficient", coef(fit)); put(name, ties, "std_error", sqrt(diag(fit$var)))
    put(name, ties, "loglik", fit$loglik); put(name, ties, "score_test", fit$score); put(name, ties, "wald_test", fit$wald.test)
    for (j in 1:3) {                          # profile limits of coefficient j
      other <- setdiff(c("x1", "x2", "x3"), paste0("x", j)); v <- x[[paste0("x", j)]]
      drop_at <- function(b) { x$fixed <- b * v; g <- coxph(reformulate(c(other, "offset(fixed)"), quote(y)), x, ties = ties, control = ctl)
                               2 * (fit$loglik[2] - g$loglik[2]) - qchisq(0.95, 1) }
      if (ties == "efron" || j == 1) { se <- sqrt(fit$var[j, j]); b0 <- coef(fit)[[j]]
        put(name, ties, "profile_lower", uniroot(drop_at, c(b0 - 4 * se, b0), tol = 1e-12)$root, j)
        put(name, ties, "profile_upper", uniroot(drop_at, c(b0, b0 + 4 * se), tol = 1e-12)$root, j) }
    }
    if (ties == "exact") next
    s <- coxph(y ~ x1 + x2 + x3 + strata(stratum), x, ties = ties, control = ctl, x = TRUE)
    if (name != "aml") { put(name, ties, "stratified_coefficient", coef(s)); put(name, ties, "stratified_std_error", sqrt(diag(vcov(s))))
      z <- cox.zph(s, "km")$table; put(name, ties, "stratified_zph_km", z[, "chisq"]) }
    r <- coxph(y ~ x1 + x2 + x3, x, ties = ties, control = ctl, cluster = x$id)
    put(name, ties, "robust_std_error", sqrt(diag(vcov(r)))); put(name, ties, "robust_wald_test", r$wald.test)
    for (tr in c("km", "rank", "identity", "log")) if (tr != "log" || all(x$time[x$event == 1] > 0)) {
      z <- cox.zph(fit, tr)$table; put(name, ties, paste0("zph_", tr), z[, "chisq"]) }
    new <- data.frame(x1 = c(0, 1), x2 = median(x$x2), x3 = median(x$x3)); at <- unname(quantile(x$time[x$event == 1], 1:4 / 5, type = 1))
    put(name, ties, "profile_x2_x3", c(new$x2[1], new$x3[1])); put(name, ties, "curve_time", at)
    c0 <- summary(survfit(fit, new, conf.type = "log-log"), times = at)
    for (k in 1:2) { put(name, ties, paste0("curve_", k), c0$surv[, k]); put(name, ties, paste0("curve_error_", k), c0$std.err[, k])
      put(name, ties, paste0("curve_lower_", k), c0$lower[, k]); put(name, ties, paste0("curve_upper_", k), c0$upper[, k]) }
  }
  if (name %in% c("aml", "ovarian_empty_arm", "veteran", "heart")) for (ties in c("efron", "breslow")) {
    m <- paste0("firth_", ties); scale <- sapply(x[, c("x1", "x2", "x3")], sd); z <- x
    for (j in 1:3) z[[paste0("x", j)]] <- (x[[paste0("x", j)]] - mean(x[[paste0("x", j)]])) / scale[j]
    z$stratum <- 0; unit <- sum(log(scale)); fun <- function(b) -penalised(z, b, ties)$penalised
    top <- climb(fun, rep(0, 3)); put(name, m, "coefficient", top$par / scale); put(name, m, "loglik", unit - c(fun(rep(0, 3)), top$objective))
    put(name, m, "std_error", sqrt(diag(solve(penalised(z, top$par, ties)$info))) / scale)
    if (name %in% c("veteran", "heart")) next
    se <- sqrt(diag(solve(penalised(z, top$par, ties)$info)))
    drop_at <- function(b) 2 * (climb(function(o) fun(c(b, o)), top$par[-1])$objective - top$objective) - qchisq(0.95, 1)
    put(name, m, "profile_lower", uniroot(drop_at, top$par[1] - c(12 * se[1], 0), tol = 1e-10)$root / scale[1], 1)
    put(name, m, "profile_upper", uniroot(drop_at, top$par[1] + c(0, 6 * se[1]), tol = 1e-10)$root / scale[1], 1)
    put(name, m, "profile_p", pchisq(drop_at(0) + qchisq(0.95, 1), 1, lower.tail = FALSE), 1)
  }
}
write.csv(do.call(rbind, rows), "cox.csv", row.names = FALSE, quote = FALSE)
