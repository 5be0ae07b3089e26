# Win statistics by a double loop over pairs in plain R (packages: win_packages.R); first-order U-statistic variances written
# out, Finkelstein and Schoenfeld's permutation variance. Data ship with survival 3.5.3.  Run: Rscript hierarchical.R
suppressMessages({library(survival)})
out <- NULL
keep <- function(case, name, value)
  out <<- rbind(out, data.frame(case = case, name = name, value = format(as.numeric(value), digits = 16)))
write_data <- function(name, d) write.csv(d, paste0(name, ".csv"), row.names = FALSE, quote = FALSE, na = "")
later <- function(ta, ea, tb, eb) if (eb && (ta > tb || (ta == tb && !ea))) 1 else if (ea && (tb > ta || (ta == tb && !eb))) -1 else 0
more <- function(a, b, margin) if (is.na(a) || is.na(b)) 0 else if (a - b > margin) 1 else if (b - a > margin) -1 else 0
against <- function(a, b, levels) { for (k in seq_along(levels)) { r <- levels[[k]](a, b); if (r != 0) return(c(r, k)) }; c(0, 0) }
record <- function(case, d, levels) {
  tw <- tl <- tv <- 0; total <- 0; fs <- 0; fsv <- 0; by <- matrix(0, length(levels), 2)
  for (s in unique(d$stratum)) {
    q <- d[d$stratum == s, ]; a <- q[q$arm == 1, ]; b <- q[q$arm == 0, ]; m <- nrow(a); n <- nrow(b); N <- m + n
    W <- L <- matrix(0, m, n); weight <- m * n / N; total <- total + weight
    for (i in 1:m) for (j in 1:n) { r <- against(a[i, ], b[j, ], levels)
      if (r[1] > 0) W[i, j] <- 1; if (r[1] < 0) L[i, j] <- 1
      if (r[1] != 0) by[r[2], if (r[1] > 0) 1 else 2] <- by[r[2], if (r[1] > 0) 1 else 2] + weight / (m * n) }
    C <- cov(cbind(rowMeans(W), rowMeans(L))) / m + cov(cbind(colMeans(W), colMeans(L))) / n
    tw <- tw + weight * mean(W); tl <- tl + weight * mean(L); tv <- tv + weight^2 * C
    U <- sapply(1:N, function(i) sum(sapply(1:N, function(j) if (i == j) 0 else against(q[i, ], q[j, ], levels)[1])))
    fs <- fs + sum(U[q$arm == 1]); fsv <- fsv + m * n / (N * (N - 1)) * sum(U^2)
  }
  w <- tw / total; l <- tl / total; C <- tv / total^2
  keep(case, "won", w); keep(case, "lost", l); keep(case, "win_ratio", w / l); keep(case, "win_odds", (1 + w - l) / (1 - w + l)); keep(case, "net_benefit", w - l)
  keep(case, "se_log_win_ratio", sqrt(C[1, 1] / w^2 + C[2, 2] / l^2 - 2 * C[1, 2] / (w * l))); keep(case, "se_net_benefit", sqrt(C[1, 1] + C[2, 2] - 2 * C[1, 2]))
  keep(case, "z", fs / sqrt(fsv)); for (k in seq_along(levels)) { keep(case, paste0("won_", k), by[k, 1] / total); keep(case, paste0("lost_", k), by[k, 2] / total) }
}
death <- function(a, b) later(a$death_day, a$death_is_event, b$death_day, b$death_is_event)
# veteran: death (many ties), then Karnofsky with a margin of 10, within cell types
v <- data.frame(arm = veteran$trt - 1, stratum = as.character(veteran$celltype), death_day = veteran$time, death_is_event = veteran$status, score = veteran$karno)
v$score[seq(4, 137, 9)] <- NA
v$death_is_event[seq(1, 137, 3)] <- 0
write_data("veteran", v)
record("veteran_strata", v, list(death, function(a, b) more(a$score, b$score, 10)))
v1 <- v; v1$stratum <- "all"; record("veteran", v1, list(death, function(a, b) more(a$score, b$score, 10)))
# colon cancer: death, then recurrence, then number of positive nodes (fewer is better)
x <- subset(colon, rx != "Lev"); y <- merge(x[x$etype == 2, c("id", "rx", "time", "status", "nodes")], x[x$etype == 1, c("id", "time", "status")], by = "id")[1:150, ]
k <- data.frame(arm = as.integer(y$rx == "Lev+5FU"), stratum = "all", death_day = y$time.x, death_is_event = y$status.x, recurrence_day = y$time.y, recurrence_is_event = y$status.y, nodes = y$nodes)
write_data("colon", k)
record("colon", k, list(death, function(a, b) later(a$recurrence_day, a$recurrence_is_event, b$recurrence_day, b$recurrence_is_event), function(a, b) more(-a$nodes, -b$nodes, 0)))
# ovarian: 26 patients, death, then residual disease (fewer is better)
o <- data.frame(arm = ovarian$rx - 1, stratum = "all", death_day = ovarian$futime, death_is_event = ovarian$fustat, residual = ovarian$resid.ds)
write_data("ovarian", o)
record("ovarian", o, list(death, function(a, b) more(-a$residual, -b$residual, 0)))
header <- paste("# made by hierarchical.R with", R.version.string, "survival", packageVersion("survival"))
writeLines(c(header, "case,name,value", paste(out$case, out$name, trimws(out$value), sep = ",")), "hierarchical.csv")
