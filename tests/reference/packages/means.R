# Writes means.csv and means_data.csv: mean cumulative functions and restricted means. R 4.2.2, reda 0.5.6 (splines2 0.5.4), survRM2 1.0.4,
# survival 3.5.3. mcf(Recur(stop, id, event, origin = entry) ~ 1, variance = "LawlessNadeau", logConfInt = FALSE and TRUE) for each arm of
# bladder2 and cgd (../recurrent_data.csv), cgd with made-up late entry, valveSeats (reda; 41 engines, ties). reda wants a row that ends
# follow-up after the last event: where an event ends it, it comes a millionth of a day later. It takes no gaps. Data: means_data.csv.
# rmst2(time, status, arm, tau) on ../cox_data.csv: arms, difference, ratio.
suppressMessages({library(reda); library(survRM2)})
d <- read.csv("../recurrent_data.csv"); rows <- list()
put <- function(package, data_set, arm, what, at, value) rows[[length(rows) + 1]] <<- data.frame(package, data_set, arm, what, at, value = ifelse(is.finite(value), sprintf("%.17g", value), "NA"))
keep <- c("data_set", "id", "start", "stop", "event", "arm"); d <- d[d$data_set %in% c("bladder2", "cgd"), keep]
v <- valveSeats[order(valveSeats$ID, valveSeats$Days, -valveSeats$No.), ]
v <- data.frame(data_set = "valveSeats", id = v$ID, start = ave(v$Days, v$ID, FUN = function(x) c(0, x[-length(x)])), stop = v$Days, event = v$No., arm = v$ID %% 2)
late <- d[d$data_set == "cgd", ]; late$data_set <- "cgd_late"; from <- 7 * (late$id %% 30) + 0.5; late <- late[late$stop > from, ]; from <- 7 * (late$id %% 30) + 0.5
late$start <- pmax(late$start, from)
d <- rbind(d, late, v); d <- d[order(d$data_set, d$id, d$start, d$stop), ]
for (name in unique(d$data_set)) for (a in unique(d$arm[d$data_set == name])) {
  x <- d[d$data_set == name & d$arm == a, ]; x$entry <- ave(x$start, x$id, FUN = min); last <- x[!duplicated(x$id, fromLast = TRUE), ]
  last <- last[last$event == 1, ]; if (nrow(last)) { last$event <- 0; last$stop <- last$stop + 1e-6; x <- rbind(x, last); x <- x[order(x$id, x$stop), ] }
  for (log in c(FALSE, TRUE)) {
    m <- mcf(Recur(stop, id, event, origin = entry) ~ 1, data = x, variance = "LawlessNadeau", logConfInt = log)@MCF
    m <- m[m$MCF > 0, ]; m <- m[unique(round(seq(1, nrow(m), length.out = 30))), ]
    if (!log) { put("reda", name, a, "estimate", m$time, m$MCF); put("reda", name, a, "std_error", m$time, m$se) }
    put("reda", name, a, paste0(if (log) "log" else "plain", "_lower"), m$time, m$lower); put("reda", name, a, paste0(if (log) "log" else "plain", "_upper"), m$time, m$upper)
  }
}
m <- mcf(Recur(stop, id, event, origin = entry) ~ 1, data = data.frame(id = c(1, 1, 2, 3), stop = c(5, 10, 10, 10), event = c(1, 0, 0, 0), entry = c(0, 0, 0, 5)))@MCF
put("reda", "late", 0, "estimate", 5, m$MCF[m$time == 5])   # one enters on the day of the event
c0 <- read.csv("../cox_data.csv")
for (s in list(list("veteran", "x1", c(100, 300)), list("lung", "x2", c(300, 700)), list("rats", "x1", c(90, 104)), list("aml", "x1", c(20, 44)), list("ovarian_empty_arm", "x2", c(400, 1000)))) for (tau in s[[3]]) {
  x <- c0[c0$data_set == s[[1]], ]; r <- rmst2(x$time, x$event, x[[s[[2]]]], tau = tau)
  put("survRM2", s[[1]], "1", "rmst", tau, r$RMST.arm1$rmst); put("survRM2", s[[1]], "0", "rmst", tau, r$RMST.arm0$rmst)
  put("survRM2", s[[1]], "both", "difference", tau, r$unadjusted.result[1, ]); put("survRM2", s[[1]], "both", "ratio", tau, r$unadjusted.result[2, ])
}
write.csv(d, "means_data.csv", row.names = FALSE, quote = FALSE)
write.csv(do.call(rbind, rows), "means.csv", row.names = FALSE, quote = FALSE)
