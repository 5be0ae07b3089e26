# Writes states_data.csv and states.csv. R 4.2.2, survival 3.5.3 (survfit of a multi-state model: infinitesimal jackknife),
# etm 1.1.1 (Greenwood-type covariance of the transition matrix). myeloid (survival): entry, response (cr), transplant
# (tx), relapse, death, in the order of their days, a day shared by two moved by half a day; myeloid_late: every third
# patient enters on day 50, if still there; sir.cont, abortion (etm): ventilation in intensive care, two initial states;
# pregnancies under observation from some week on (delayed entry, ties).
suppressMessages({library(survival); library(etm)})
f <- function(x) sprintf("%.17g", x)
stays <- function(id, days, states, end) {       # days of entering states, from state "entry" on day 0
  o <- order(days); days <- days[o]; states <- states[o]
  for (i in seq_along(days)[-1]) if (days[i] <= days[i - 1]) days[i] <- days[i - 1] + 0.5
  from <- c("entry", states); start <- c(0, days); stop <- c(days, end); to <- c(states, "cens")
  keep <- from != "death" & stop > start
  data.frame(id = id, from = from[keep], to = to[keep], start = start[keep], stop = stop[keep])
}
m <- do.call(rbind, lapply(split(myeloid, myeloid$id), function(z) {
  days <- c(z$crtime, z$txtime, z$rltime, if (z$death == 1) z$futime else NA); s <- c("cr", "tx", "relapse", "death")
  stays(z$id, days[!is.na(days)], s[!is.na(days)], z$futime + 0.25)
}))
late <- m[!(m$id %% 3 == 0 & m$stop <= 50), ]; late$start <- ifelse(late$id %% 3 == 0, pmax(late$start, 50), late$start)
data(sir.cont); s <- sir.cont[order(sir.cont$id, sir.cont$time), ]; s$start <- ave(s$time, s$id, FUN = function(t) c(0, t[-length(t)]))
for (i in seq_len(nrow(s))) if (s$time[i] <= s$start[i]) s$time[i] <- s$start[i] + 0.5
s$start <- ave(s$time, s$id, FUN = function(t) c(0, t[-length(t)]))
data(abortion)
d <- rbind(data.frame(data_set = "myeloid", m), data.frame(data_set = "myeloid_late", late),
  data.frame(data_set = "sir.cont", id = s$id, from = paste0("s", s$from), to = ifelse(s$to == "cens", "cens", paste0("s", s$to)), start = s$start, stop = s$time),
  with(abortion, data.frame(data_set = "abortion", id = id, from = "pregnant", to = paste0("end", cause), start = entry, stop = exit)))
rows <- list()
for (name in unique(d$data_set)) {
  z <- d[d$data_set == name, ]; states <- unique(c(z$from, setdiff(z$to, "cens")))
  z$event <- factor(z$to, levels = c("cens", states)); z$istate <- factor(z$from, levels = states)
  k <- survfit(Surv(start, stop, event) ~ 1, data = z, id = id, istate = istate)
  at <- sort(unique(z$stop)); at <- at[unique(round(seq(1, length(at), length.out = 40)))]
  y <- summary(k, times = at, extend = TRUE); colnames(y$pstate) <- colnames(y$std.err) <- k$states
  for (state in states) rows[[length(rows) + 1]] <- data.frame(data_set = name, state, time = f(y$time), estimate = f(y$pstate[, state]), std_error_ij = f(y$std.err[, state]), var_etm = "")
  if (name == "sir.cont") next
  tra <- outer(states, states, Vectorize(function(a, b) any(z$from == a & z$to == b)))
  e <- etm(data.frame(id = z$id, from = z$from, to = z$to, entry = z$start, exit = z$stop), states, tra, "cens", s = 0, delta.na = FALSE)
  i <- findInterval(at, e$time); first <- states[1]
  for (state in states) {
    v <- trcov(e, c(paste(first, state), paste(first, state)))
    n <- length(rows); w <- which(sapply(rows, function(r) r$data_set[1] == name && r$state[1] == state))
    rows[[w]]$var_etm <- f(ifelse(i == 0, 0, v[pmax(i, 1)]))
  }
}
d$start <- f(d$start); d$stop <- f(d$stop)
write.csv(d, "states_data.csv", row.names = FALSE, quote = FALSE); write.csv(do.call(rbind, rows), "states.csv", row.names = FALSE, quote = FALSE)
