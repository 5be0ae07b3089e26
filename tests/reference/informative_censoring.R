# Writes informative_censoring_data.csv and informative_censoring.csv. R 4.2.2, survival 3.5.3 (data and survfit).
# Periods: pbcseq (visits; death, transplant censors), jasa (30-day periods; death, transplant censors), mgus2 (first 100
# patients, 12-month periods; death, progression censors). Censoring: glm(is_censored ~ x1 + x2, binomial, epsilon =
# 1e-14) on periods without the event; weight = 1 / product of (1 - p) over earlier periods.
# curve: survfit(Surv(start, stop, event) ~ 1, weights, id, robust = TRUE): estimate and "known" error (weights as known).
# "estimated" error: square root of the sum over patients of the squared derivative of glm and survfit together by the
# patient's case weight, by central differences (step 1e-4), which is the infinitesimal jackknife by its definition.
library(survival); f <- function(x) sprintf("%.17g", x)
a <- pbcseq; a$stop <- ave(a$day, a$id, FUN = function(d) c(d[-1], NA)); l <- is.na(a$stop); a$stop[l] <- a$futime[l]
pbc2 <- data.frame(set = "pbcseq", patient_id = a$id, start_day = a$day, stop_day = a$stop, is_event = l & a$status == 2, is_censored = l & a$status == 1, x1 = round(log(a$bili), 6), x2 = a$albumin)
pbc2 <- pbc2[pbc2$stop_day > pbc2$start_day, ]
j <- jasa; j$id <- seq_len(nrow(j)); j$end <- ifelse(j$transplant == 1, pmax(1, j$wait.time), pmax(1, j$futime)); j$kind <- ifelse(j$transplant == 1, 2, j$fustat)
s <- survSplit(Surv(end, kind > 0) ~ ., transform(j, why = kind), cut = seq(30, 1500, 30)); jasa2 <- with(s, data.frame(set = "jasa", patient_id = id, start_day = tstart, stop_day = end, is_event = event == 1 & why == 1, is_censored = event == 1 & why == 2, x1 = age / 10, x2 = as.numeric(tstart > 0)))
m <- na.omit(mgus2[1:100, c("id", "age", "hgb", "ptime", "pstat", "futime", "death")]); m$kind <- ifelse(m$pstat == 1, 2, m$death); m$end <- ifelse(m$pstat == 1, m$ptime, m$futime)
s <- survSplit(Surv(end, kind > 0) ~ ., transform(m[m$end > 0, ], why = kind), cut = seq(12, 400, 12)); mgus22 <- with(s, data.frame(set = "mgus2", patient_id = id, start_day = tstart, stop_day = end, is_event = event == 1 & why == 1, is_censored = event == 1 & why == 2, x1 = age / 10, x2 = hgb))
all <- rbind(pbc2, jasa2, mgus22); all$x1 <- round(all$x1, 6); rows <- list()
curve <- function(d, cw, at) {
  p <- predict(suppressWarnings(glm(is_censored ~ x1 + x2, binomial, d, weights = cw, subset = !is_event, control = glm.control(epsilon = 1e-14, maxit = 100))), d, type = "response")
  w <- ave(log1p(-p), d$patient_id, FUN = function(v) cumsum(c(0, -v[-length(v)]))); d$w <- exp(w)
  list(w = d$w, surv = summary(survfit(Surv(start_day, stop_day, is_event) ~ 1, d, weights = d$w * cw), times = at)$surv)
}
for (set in unique(all$set)) {
  d <- all[all$set == set, ]; at <- list(pbcseq = c(1000, 2000, 3000), jasa = c(30, 90, 180), mgus2 = c(60, 120, 180))[[set]]
  now <- curve(d, rep(1, nrow(d)), at); d$w <- now$w
  k <- summary(survfit(Surv(start_day, stop_day, is_event) ~ 1, d, weights = w, id = patient_id, robust = TRUE), times = at)
  slopes <- sapply(unique(d$patient_id), function(i) { e <- 1e-4 * (d$patient_id == i); (curve(d, 1 + e, at)$surv - curve(d, 1 - e, at)$surv) / 2e-4 })
  rows[[set]] <- data.frame(set, time = at, estimate = f(k$surv), known = f(k$std.err), estimated = f(sqrt(rowSums(slopes^2))), weights = f(sum(now$w)), largest = f(max(now$w)))
}
write.csv(all, "informative_censoring_data.csv", row.names = FALSE, quote = FALSE)
write.csv(do.call(rbind, rows), "informative_censoring.csv", row.names = FALSE, quote = FALSE)
