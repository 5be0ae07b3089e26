# Writes melding.csv from ../cox_data.csv: two arms at a time between two times of the data. R 4.2.2, bpcp 1.4.2.
# bpcp2samp(parmtype = ..., control = bpcp2sampControl(eps = 1e-13)): two moments stand for an arm's distribution, melded by
# integration; its integrate() and uniroot() are made to use rel.tol = 1e-11 and tol = 1e-13. The same with method = "mc.mc", a million draws
# of the distribution itself (aml, ovarian). fixtdiff(varpooled = FALSE): chi-squared on three scales.
suppressMessages(library(bpcp))
e <- parent.env(asNamespace("bpcp")); for (x in c("integrate", "uniroot")) unlockBinding(x, e)
assign("integrate", function(...) stats::integrate(..., rel.tol = 1e-11, subdivisions = 5000L), e)
assign("uniroot", function(...) stats::uniroot(..., tol = 1e-13), e)
d <- read.csv("../cox_data.csv"); rows <- list()
put <- function(data_set, time, what, value) rows[[length(rows) + 1]] <<- data.frame(data_set, time, what, at = seq_along(value), value = ifelse(is.finite(value), sprintf("%.17g", value), "NA"))
for (s in list(list("aml", "x1", c(20.5, 31.5)), list("veteran", "x1", c(50.5, 100.5)), list("lung", "x2", c(200.5, 400.5)),
  list("rats", "x2", c(80.5, 100.5)), list("ovarian_empty_arm", "x2", c(400.5, 600.5)))) for (at in s[[3]]) {
  x <- d[d$data_set == s[[1]], ]; g <- x[[s[[2]]]]; stopifnot(!at %in% x$time)
  for (p in c("difference", "ratio", "oddsratio")) { r <- bpcp2samp(x$time, x$event, g, at, parmtype = p, control = bpcp2sampControl(eps = 1e-13))
    put(s[[1]], at, p, c(r$estimate, r$conf.int, r$p.value))
    if (nrow(x) < 30) { r <- bpcp2samp(x$time, x$event, g, at, parmtype = p, control = bpcp2sampControl(method = "mc.mc")); put(s[[1]], at, paste0("draws_", p), c(r$conf.int, r$p.value)) } }
  for (t in c("identity", "log", "cloglog")) put(s[[1]], at, paste0("fixtdiff_", t), qnorm(fixtdiff(x$time, x$event, g, at, trans = t, varpooled = FALSE)$plo))
}
write.csv(do.call(rbind, rows), "melding.csv", row.names = FALSE, quote = FALSE)
