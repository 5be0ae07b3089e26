# Writes competing.csv from curve_data.csv. R 4.2.2, survival 3.5.3 (infinitesimal jackknife), cmprsk 2.2.11
# (variance of cuminc; it takes no delayed entry).
library(survival); library(cmprsk)
d <- read.csv("curve_data.csv"); f <- function(x) ifelse(is.na(x), "", sprintf("%.17g", x))
rows <- list()
for (name in c("melanoma", "melanoma_delayed", "mgus2", "pbc")) {
  x <- d[d$data_set == name, ]; x$id <- seq_len(nrow(x)); delayed <- any(x$entry > 0)
  s <- if (delayed) survfit(Surv(entry, time, factor(cause)) ~ 1, data = x, id = id, conf.type = "log-log")
       else survfit(Surv(time, factor(cause)) ~ 1, data = x, conf.type = "log-log")
  at <- unique(sort(x$time)); at <- at[unique(round(seq(1, length(at), length.out = 60)))]
  z <- summary(s, times = at)
  k <- if (delayed) NULL else timepoints(cuminc(x$time, x$cause), at)
  for (cause in 1:2) rows[[length(rows) + 1]] <- data.frame(data_set = name, cause = cause, time = f(at),
    estimate = f(z$pstate[, 1 + cause]), std_error_ij = f(z$std.err[, 1 + cause]), lower = f(z$lower[, 1 + cause]),
    upper = f(z$upper[, 1 + cause]), var_cuminc = if (delayed) "" else f(k$var[cause, ]))
}
write.csv(do.call(rbind, rows), "competing.csv", row.names = FALSE, quote = FALSE)
