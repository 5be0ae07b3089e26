# Writes adverse_events_patients.csv, adverse_events_events.csv (data sets that ship with survival 3.5.3, taken as events
# of patients who may die) and adverse_events.csv. R 4.2.2. myeloid (first 200 patients: remission, transplant, relapse),
# mgus2 (first 100, months as days: progression), cgd (infections; nobody died).
# first event per patient and term: binom.test, poisson.test (per 100 years of 365.25 days), survfit(Surv(day,
# factor(cause)) ~ 1, conf.type = "log-log") with its infinitesimal jackknife.
library(survival); f <- function(x) ifelse(is.na(x), "", sprintf("%.17g", x)); rows <- list(); pats <- list(); evs <- list()
m <- myeloid[1:200, ]; e <- do.call(rbind, lapply(c("cr", "tx", "rl"), function(k) data.frame(patient_id = m$id, arm = m$trt, soc = c(cr = "Marrow", tx = "Procedures", rl = "Marrow")[k], term = c(cr = "remission", tx = "transplant", rl = "relapse")[k], start_day = m[[paste0(k, "time")]])))
pats$myeloid <- data.frame(set = "myeloid", patient_id = m$id, arm = m$trt, end_day = m$futime, is_dead = m$death == 1); evs$myeloid <- cbind(set = "myeloid", e[!is.na(e$start_day), ])
m <- mgus2[1:100, ]; pats$mgus2 <- data.frame(set = "mgus2", patient_id = m$id, arm = m$sex, end_day = m$futime, is_dead = m$death == 1)
evs$mgus2 <- with(m[m$pstat == 1, ], data.frame(set = "mgus2", patient_id = id, arm = sex, soc = "Neoplasms", term = "progression", start_day = ptime))
k <- cgd; p <- aggregate(tstop ~ id + treat, k, max); pats$cgd <- data.frame(set = "cgd", patient_id = p$id, arm = p$treat, end_day = p$tstop, is_dead = FALSE)
evs$cgd <- with(k[k$status == 1, ], data.frame(set = "cgd", patient_id = id, arm = treat, soc = "Infections", term = "serious infection", start_day = tstop))
for (set in names(pats)) for (arm in sort(unique(as.character(pats[[set]]$arm)))) {
  p <- pats[[set]][pats[[set]]$arm == arm, ]; ev <- evs[[set]]; at <- list(myeloid = c(60, 365), mgus2 = c(60, 150), cgd = c(100, 300))[[set]]
  kinds <- c("any", unique(ev$soc), unique(paste0(ev$soc, ": ", ev$term)))
  for (kind in kinds) {
    own <- ev[kind == "any" | ev$soc == kind | paste0(ev$soc, ": ", ev$term) == kind, ]
    first <- sapply(p$patient_id, function(i) { d <- own$start_day[own$patient_id == i]; if (length(d)) min(d) else NA })
    x <- sum(!is.na(first)); time <- ifelse(is.na(first), p$end_day, first); y <- sum(time) / 365.25; b <- binom.test(x, nrow(p))$conf.int; q <- poisson.test(x, y)$conf.int
    cause <- factor(ifelse(!is.na(first), 1, ifelse(p$is_dead, 2, 0)), 0:2); s <- summary(survfit(Surv(time, cause) ~ 1, conf.type = "log-log"), times = at, extend = TRUE)
    rows[[length(rows) + 1]] <- data.frame(set, arm, term = kind, statistic = c("proportion", "rate", rep("cumulative_incidence", 2)), day = c("", "", at), n_events = x,
      estimate = f(c(x / nrow(p), 100 * x / y, s$pstate[, 2])), std_error = f(c(NA, NA, s$std.err[, 2])), lower = f(c(b[1], 100 * q[1], s$lower[, 2])), upper = f(c(b[2], 100 * q[2], s$upper[, 2])))
  }
}
write.csv(do.call(rbind, rows), "adverse_events.csv", row.names = FALSE, quote = FALSE)
write.csv(do.call(rbind, pats), "adverse_events_patients.csv", row.names = FALSE, quote = FALSE)
write.csv(do.call(rbind, evs), "adverse_events_events.csv", row.names = FALSE, quote = FALSE)
