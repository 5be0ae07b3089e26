# Writes kaplan_meier.csv and kaplan_meier_summary.csv from curve_data.csv. R 4.2.2, survival 3.5.3.
library(survival)
d <- read.csv("curve_data.csv"); d <- d[!d$data_set %in% c("mgus2", "pbc", "melanoma"), ]
f <- function(x) ifelse(is.na(x), "", sprintf("%.17g", x))
rows <- list(); sums <- list()
for (name in unique(d$data_set)) for (ct in c("log-log", "log", "plain", "logit", "arcsin")) {
  x <- d[d$data_set == name, ]; x$e <- as.integer(x$cause > 0)
  delayed <- any(x$entry > 0)
  s <- if (delayed) survfit(Surv(entry, time, e) ~ 1, data = x, conf.type = ct)
       else survfit(Surv(time, e) ~ 1, data = x, conf.type = ct)
  keep <- if (ct == "log-log") seq_along(s$time) else unique(c(1, seq(2, length(s$time), by = 7), length(s$time)))
  rows[[length(rows) + 1]] <- data.frame(data_set = name, interval = ct, time = f(s$time), n_at_risk = s$n.risk,
    n_events = s$n.event, n_censored = s$n.censor, estimate = f(s$surv), std_error = f(s$surv * s$std.err),
    lower = f(s$lower), upper = f(s$upper))[keep, ]
  # limits as print(s) gives them: where a limit rises again in the tail (aml, log) quantile() takes a later time
  q <- quantile(s, 0.5); p <- summary(s)$table
  tau <- unname(quantile(x$time, 0.7)); r <- summary(s, rmean = tau)$table
  sums[[length(sums) + 1]] <- data.frame(data_set = name, interval = ct, median = f(q$quantile[[1]]),
    median_lower = f(p[["0.95LCL"]]), median_upper = f(p[["0.95UCL"]]), horizon = f(tau), rmean = f(r[["rmean"]]),
    rmean_se = f(r[["se(rmean)"]]))
}
write.csv(do.call(rbind, rows), "kaplan_meier.csv", row.names = FALSE, quote = FALSE)
write.csv(do.call(rbind, sums), "kaplan_meier_summary.csv", row.names = FALSE, quote = FALSE)
