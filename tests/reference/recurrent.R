# Writes recurrent_data.csv, recurrent.csv and mean_cumulative.csv. R 4.2.2, survival 3.5.3 (data sets as it ships
# them; rhDNase is not at risk while on antibiotics, so its intervals have gaps). coxph with control(eps = 1e-13).
library(survival)
ctl <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 60); f <- function(x) sprintf("%.17g", x)
one <- function(name, id, start, stop, event, arm, x1, x2, number)
  data.frame(data_set = name, id, start, stop, event, arm, x1, x2, number)
first <- subset(rhDNase, !duplicated(id))
dn <- tmerge(first, first, id = id, tstop = as.numeric(end.dt - entry.dt))
dn <- tmerge(dn, rhDNase, id = id, done = event(ivstop), infect = event(ivstart), over = event(ivstop + 6))
rest <- rhDNase[!is.na(rhDNase$ivstart), ]
inside <- mapply(function(i, a, b) any(rest$id == i & a >= rest$ivstart & b <= rest$ivstop + 6), dn$id, dn$tstart, dn$tstop)
dn <- dn[!inside & dn$tstart >= 0, ]; dn$number <- ave(dn$id, dn$id, FUN = seq_along); dn <- dn[dn$tstop > dn$tstart, ]
b <- bladder2
d <- rbind(
  with(b, one("bladder2", id, start, stop, event, rx - 1, number, size, enum)),
  with(cgd, one("cgd", id, tstart, tstop, status, as.integer(treat) - 1, age, steroids, enum)),
  with(dn, one("rhDNase", id, tstart, tstop, infect, trt, fev, (id * 3) %% 7, number)))
write.csv(d, "recurrent_data.csv", row.names = FALSE, quote = FALSE)
rows <- list(); curves <- list()
for (name in unique(d$data_set)) {
  x <- d[d$data_set == name, ]
  put <- function(model, ties, fit, strata = "") rows[[length(rows) + 1]] <<- data.frame(data_set = name, model, ties, strata, k = 1:3,
    coefficient = f(coef(fit)), robust = f(sqrt(diag(vcov(fit)))), naive = f(sqrt(diag(fit$naive.var))), wald = f(fit$wald.test))
  for (ties in c("efron", "breslow")) {
    put("andersen-gill", ties, coxph(Surv(start, stop, event) ~ arm + x1 + x2 + cluster(id), x, ties = ties, control = ctl))
    z <- x[x$number <= 3, ]
    put("pwp-total", ties, coxph(Surv(start, stop, event) ~ arm + x1 + x2 + cluster(id) + strata(number), z, ties = ties, control = ctl))
    put("pwp-gap", ties, coxph(Surv(stop - start, event) ~ arm + x1 + x2 + cluster(id) + strata(number), z, ties = ties, control = ctl))
  }
  for (a in sort(unique(x$arm))) {
    z <- x[x$arm == a, ]; s <- survfit(Surv(start, stop, event) ~ 1, z, id = id, cluster = id, robust = TRUE)
    keep <- unique(round(seq(1, length(s$time), length.out = 40)))
    curves[[length(curves) + 1]] <- data.frame(data_set = name, arm = a, time = f(s$time), n_at_risk = s$n.risk, n_events = s$n.event,
      estimate = f(s$cumhaz), std_error = f(s$std.chaz))[keep, ]
  }
}
write.csv(do.call(rbind, rows), "recurrent.csv", row.names = FALSE, quote = FALSE)
write.csv(do.call(rbind, curves), "mean_cumulative.csv", row.names = FALSE, quote = FALSE)
