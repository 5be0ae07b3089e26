# Writes competing_npmle_data.csv and competing_npmle.csv. R 4.2.2; data of survival 3.5.3 (pbcseq) and msm 1.7 (cav).
# No R package known to us fits this: EM and Newton steps in plain R over the maximal intersections of the event and the days of
# death, accepted only where the Kuhn-Tucker conditions hold to 1e-9. bili3: bilirubin first seen at 3 or more; ascites
# first seen; cav: vasculopathy first seen, in the first 250. Death is exact, in those not seen to have had the event before.
suppressMessages({library(survival); library(msm)})
one <- function(d, name) do.call(rbind, lapply(split(d, d$id), function(z) {
  seen <- z[!z$is_end, ]; if (!nrow(seen) || seen$bad[1]) return(NULL)
  k <- which(seen$bad)[1]; end <- max(z$time); dead <- any(z$dead)
  if (!is.na(k)) data.frame(data_set = name, left = seen$time[k - 1], right = seen$time[k], death = Inf, last = end)
  else data.frame(data_set = name, left = max(seen$time), right = Inf, death = if (dead) end else Inf, last = end)
}))
p <- pbcseq; e <- p[!duplicated(p$id), ]
pbc <- function(bad, bad_name) { ok <- !is.na(bad)
  rbind(data.frame(id = p$id, time = p$day, bad = bad, is_end = FALSE, dead = FALSE)[ok, ], data.frame(id = e$id, time = e$futime, bad = FALSE, is_end = TRUE, dead = e$status == 2)) }
cav <- cav[cav$PTNUM %in% unique(cav$PTNUM)[1:250], ]
k <- data.frame(id = cav$PTNUM, time = cav$years, bad = cav$state %in% 2:3, is_end = cav$state == 4, dead = cav$state == 4)
d <- rbind(one(pbc(p$bili >= 3), "bili3"), one(pbc(p$ascites == 1), "ascites"), one(k, "cav"))
rows <- list(); put <- function(data_set, what, at, value) rows[[length(rows) + 1]] <<- data.frame(data_set, what, at, value)
for (name in unique(d$data_set)) {
  z <- d[d$data_set == name, ]; n <- nrow(z); alive <- is.infinite(z$death)
  ends <- rbind(data.frame(t = z$left[alive], e = 0), data.frame(t = z$right[alive], e = 1)); ends <- ends[order(ends$t, -ends$e), ]
  i <- which(ends$e[-nrow(ends)] == 0 & ends$e[-1] == 1); lower <- ends$t[i]; upper <- ends$t[i + 1]
  days <- sort(unique(z$death[!alive]))
  A1 <- (outer(z$left, lower, "<=") & outer(z$right, upper, ">=")) * 1; A1[!alive, ] <- 0
  A2 <- outer(z$death, days, "==") * 1; lost <- alive & is.infinite(z$right); A2[lost, ] <- outer(z$last[lost], days, "<") * 1
  A <- cbind(A1, A2); m <- ncol(A); p <- rep(1 / m, m)
  for (r in 1:3000) p <- p * colSums(A / as.vector(A %*% p)) / n
  for (round in 1:100) {
    use <- p > 1e-9; v <- p[use]
    for (r in 1:100) {
      B <- A[, use, drop = FALSE] / as.vector(A[, use, drop = FALSE] %*% v); g <- colSums(B) - n
      s <- as.vector(solve(crossprod(B) + diag(1e-9, length(v)), g)); len <- min(1, 0.9 * ifelse(s < 0, -v / s, Inf)); v <- v + len * s
      if (max(abs(s)) < 1e-13) break
    }
    p <- rep(0, m); p[use] <- v; p <- p / sum(p); g <- colSums(A / as.vector(A %*% p)) / n
    if (max(g) <= 1 + 1e-9) break
    p[which.max(g)] <- p[which.max(g)] + 1e-4; p <- p / sum(p); for (r in 1:500) p <- p * colSums(A / as.vector(A %*% p)) / n
  }
  cat(name, n, "gradient at most 1 +", max(g) - 1, "\n"); stopifnot(max(g) <= 1 + 1e-9)
  put(name, "loglik", 0, sum(log(A %*% p)))
  at <- quantile(c(z$right[is.finite(z$right)], days), c(0.1, 0.3, 0.5, 0.7, 0.9), type = 1, names = FALSE)
  put(name, "event", at, sapply(at, function(t) sum(p[seq_along(upper)][upper <= t]))); put(name, "death", at, sapply(at, function(t) sum(p[-seq_along(upper)][days <= t])))
}
f <- function(x) ifelse(is.finite(x), sprintf("%.17g", x), "inf"); for (x in c("left", "right", "death", "last")) d[[x]] <- f(d[[x]])
out <- do.call(rbind, rows); out$at <- f(out$at); out$value <- f(out$value)
write.csv(d, "competing_npmle_data.csv", row.names = FALSE, quote = FALSE); write.csv(out, "competing_npmle.csv", row.names = FALSE, quote = FALSE)
