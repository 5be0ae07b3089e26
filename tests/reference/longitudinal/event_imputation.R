# The limit over endless imputations of survival at a horizon: everybody censored early at c with a constant hazard of
# posterior Gamma(a, T) stays free with probability (T / (T + f (horizon - c)))^a; with pieces, by adaptive integration of
# products. Plain R; data ship with survival.  Run: Rscript event_imputation.R
suppressMessages(library(survival))
out <- NULL
keep <- function(case, name, value)
  out <<- rbind(out, data.frame(case = case, name = name, value = format(as.numeric(value), digits = 16)))
write_data <- function(name, d) write.csv(d, paste0(name, ".csv"), row.names = FALSE, quote = FALSE, na = "")
limit <- function(case, d, horizon, cuts = NULL, factor = 1) {
  edges <- c(0, cuts, horizon); d$event <- d$event == 1 & d$time <= horizon; d$time <- pmin(d$time, horizon)
  post <- lapply(0:1, function(a) { q <- d[d$arm == a, ]
    list(a = sapply(seq_along(edges)[-1], function(k) sum(q$event & q$time > edges[k - 1] & q$time <= edges[k])) + 0.5,
         T = sapply(seq_along(edges)[-1], function(k) sum(pmin(pmax(q$time - edges[k - 1], 0), edges[k] - edges[k - 1])))) })
  stay <- function(c, p, f) prod(sapply(seq_along(p$a), function(k) { w <- max(0, edges[k + 1] - max(c, edges[k])); (p$T[k] / (p$T[k] + f * w))^p$a[k] }))
  for (assumption in c("censored_at_random", "jump_to_reference")) for (a in 0:1) { q <- d[d$arm == a, ]
    p <- if (assumption == "jump_to_reference") post[[1]] else post[[a + 1]]
    free <- ifelse(q$event, 0, ifelse(q$time >= horizon, 1, sapply(q$time, stay, p = p, f = if (a == 1) factor else 1)))
    keep(case, paste0(assumption, "_", a), mean(free)) }
}
o <- data.frame(arm = ovarian$rx - 1, time = ovarian$futime, event = ovarian$fustat); write_data("events_ovarian", o)
limit("ovarian", o, 730); limit("ovarian_factor", o, 730, factor = 3); limit("ovarian_pieces", o, 730, cuts = c(200, 400))
l <- lung[seq(1, 228, 2), ]; l <- data.frame(arm = l$sex - 1, time = l$time, event = l$status - 1); write_data("events_lung", l)
limit("lung", l, 365, cuts = 180)
a <- data.frame(arm = as.integer(aml$x == "Maintained"), time = aml$time, event = aml$status); write_data("events_aml", a)
limit("aml", a, 40)
header <- paste("# made by event_imputation.R with", R.version.string, "survival", packageVersion("survival"))
writeLines(c(header, "case,name,value", paste(out$case, out$name, trimws(out$value), sep = ",")), "event_imputation.csv")
