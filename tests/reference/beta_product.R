# Writes beta_product.csv from curve_data.csv: bpcp 1.4.2 (method of moments; and Monte Carlo, 1e6 draws, seed of the
# package), R 4.2.2. Taken in the middle between two times, where a limit is constant.
library(bpcp)
d <- read.csv("curve_data.csv"); f <- function(x) ifelse(is.na(x), "", sprintf("%.17g", x))
rows <- list()
for (name in c("aml", "ovarian", "veteran", "lung")) {
  x <- d[d$data_set == name, ]; y <- sort(unique(x$time)); at <- (y[-1] + y[-length(y)]) / 2
  at <- at[unique(round(seq(1, length(at), length.out = 12)))]
  m <- StCI(bpcp(x$time, x$cause), at)
  mc <- if (name == "ovarian") StCI(bpcp(x$time, x$cause, nmc = 1e6), at) else NULL
  rows[[length(rows) + 1]] <- data.frame(data_set = name, time = f(at), lower = f(m[[3]]), upper = f(m[[4]]),
    mc_lower = if (is.null(mc)) "" else f(mc[[3]]), mc_upper = if (is.null(mc)) "" else f(mc[[4]]))
}
write.csv(do.call(rbind, rows), "beta_product.csv", row.names = FALSE, quote = FALSE)
