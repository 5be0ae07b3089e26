# Win statistics by three packages, on the data of hierarchical.R.  Run: Rscript win_packages.R
# "buyse_z": the net benefit over its exact permutation error ("varExact permutation"; with strata this version stops).
# WINS: win.stat(stratum.weight = "MH-type", method = "unadjusted"): wins and losses weighted 1/N by stratum, as m n/(m + n). Its variances
# are those under "no difference" (Dong et al. 2016), and are kept as "wins_null_".
# BuyseTest: scoring.rule = "Gehan", method.inference = "u-statistic", order.Hprojection = 1, pool.strata = "CMH", neutral.as.uninf = TRUE; a
# difference decides from the threshold on (here above it: 10.5 points for more than 10). WR: WRrec (death, then one event).
# BuyseTest and WR divide sums of squares over m patients by m ("plain"); "se_" has m - 1 instead, by stratum and arm, from BuyseTest's
# influence of each patient (getIid) and WR's matrix of wins.
# Two packages leave a pair undecided where one had the event on the day on which the other was censored; here the one without
# event wins: a quarter of a day is added to censored times for all three. WINS drops patients with a missing value: cases "_known" are
# without these.
suppressMessages({library(WINS); library(WR); library(BuyseTest)})
BuyseTest.options(trace = 0, order.Hprojection = 1, check = FALSE)
out <- NULL
keep <- function(case, name, value)
  out <<- rbind(out, data.frame(case = case, name = name, value = format(as.numeric(value), digits = 16)))
free <- function(t, e) t + 0.25 * (e == 0)
wins <- function(case, d, y, delta, type, better, tau) {
  q <- data.frame(id = seq_len(nrow(d)), arm = 2 - d$arm, stratum = as.integer(factor(d$stratum))); for (k in seq_along(delta)) q[[paste0("Delta_", k)]] <- d[[delta[k]]]
  for (k in seq_along(y)) q[[paste0("Y_", k)]] <- d[[y[k]]]
  r <- win.stat(q, ep_type = type, arm.name = 1:2, priority = seq_along(y), tau = tau, np_direction = better, stratum.weight = "MH-type", pvalue = "two-sided", summary.print = FALSE)
  keep(case, "wins_win_ratio", r$Win_statistic$Win_Ratio[[1]]); keep(case, "wins_win_odds", r$Win_statistic$Win_Odds[[1]]); keep(case, "wins_net_benefit", r$Win_statistic$Net_Benefit[[1]])
  keep(case, "wins_null_se_log_win_ratio", log(r$Win_statistic$Win_Ratio[[1]]) / r$z_statistic[[1]]); keep(case, "wins_null_se_net_benefit", r$Win_statistic$Net_Benefit[[1]] / r$z_statistic[[2]])
  n <- table(q$stratum); w <- apply(table(q$stratum, q$arm), 1, prod) / n
  for (k in seq_along(y)) for (side in 1:2) keep(case, paste0("wins_", c("won_", "lost_")[side], k), sum(w * r$summary_ep[[2 * k - 2 + side]]$Proportion) / sum(w)) }
buyse <- function(case, d, formula, strata = rep(1, nrow(d))) {
  part <- paste(strata, d$arm); n <- ave(d$arm, part, FUN = length); b <- BuyseTest(formula, d, scoring.rule = "Gehan", method.inference = "u-statistic", pool.strata = "CMH", neutral.as.uninf = TRUE, keep.pairScore = FALSE)
  for (s in c("netBenefit", "winRatio")) { z <- confint(b, statistic = s, transformation = TRUE, order.Hprojection = 1); z <- z[nrow(z), ]
    i <- getIid(b, statistic = s); i <- i[, ncol(i)]; stopifnot(abs(sqrt(sum(i^2)) - z$se) < 1e-12)
    keep(case, paste0("buyse_", s), z$estimate); keep(case, paste0("buyse_plain_se_", s), z$se); keep(case, paste0("buyse_se_", s), sqrt(sum(i^2 * n / (n - 1)))) }
  if (length(unique(strata)) == 1) { z <- confint(BuyseTest(formula, d, scoring.rule = "Gehan", method.inference = "varExact permutation", neutral.as.uninf = TRUE, keep.pairScore = FALSE),
    statistic = "netBenefit", transformation = FALSE); z <- z[nrow(z), ]; keep(case, "buyse_z", z$estimate / z$se) } }
wr <- function(case, d) { # death with its day, then the first recurrence before it
  n <- nrow(d); if (is.null(d$recurrence_day)) d$recurrence_is_event <- d$recurrence_day <- 0; seen <- d$recurrence_is_event == 1 & d$recurrence_day < d$death_day
  r <- WRrec(ID = c(1:n, which(seen)), time = c(d$death_day, d$recurrence_day[seen]), status = c(d$death_is_event, rep(2, sum(seen))), trt = c(d$arm, d$arm[seen]))
  keep(case, "wr_won", r$theta[1]); keep(case, "wr_lost", r$theta[2]); keep(case, "wr_plain_se_log_win_ratio", r$se); R <- r$R.mat; W <- R == 1; L <- R == -1; m <- nrow(R); k <- ncol(R)
  C <- cov(cbind(rowMeans(W), rowMeans(L))) / m + cov(cbind(colMeans(W), colMeans(L))) / k; g <- c(1, -1) / r$theta; keep(case, "wr_se_log_win_ratio", sqrt(g %*% C %*% g)) }
read <- function(name) { d <- read.csv(paste0(name, ".csv")); d$death_day <- free(d$death_day, d$death_is_event); if ("recurrence_day" %in% names(d)) d$recurrence_day <- free(d$recurrence_day, d$recurrence_is_event); d }
v <- read("veteran"); known <- v[!is.na(v$score), ]
for (strata in c(FALSE, TRUE)) { s <- if (strata) "_strata" else ""; a <- known; if (!strata) a$stratum <- 1
  wins(paste0("veteran_known", s), a, c("death_day", "score"), "death_is_event", c("tte", "continuous"), c("larger", "larger"), c(0, 10))
  g <- arm ~ tte(death_day, death_is_event, threshold = 1e-9) + cont(score, threshold = 10.5); if (strata) g <- update(g, . ~ . + strata(stratum))
  for (one in list(list("veteran_known", known), list("veteran", v))) buyse(paste0(one[[1]], s), one[[2]], g, if (strata) one[[2]]$stratum else rep(1, nrow(one[[2]]))) }
o <- read("ovarian"); wins("ovarian", o, c("death_day", "residual"), "death_is_event", c("tte", "continuous"), c("larger", "smaller"), 0)
buyse("ovarian", o, arm ~ tte(death_day, death_is_event, threshold = 1e-9) + cont(residual, threshold = 0.5, operator = "<0"))
k <- read("colon"); wins("colon_known", k[!is.na(k$nodes), ], c("death_day", "recurrence_day", "nodes"), c("death_is_event", "recurrence_is_event"), c("tte", "tte", "continuous"), c("larger", "larger", "smaller"), 0)
buyse("colon", k, arm ~ tte(death_day, death_is_event, threshold = 1e-9) + tte(recurrence_day, recurrence_is_event, threshold = 1e-9) + cont(nodes, threshold = 0.5, operator = "<0"))
wr("colon_times", k); wr("veteran_times", v); wr("ovarian_times", o)
header <- paste("# made by win_packages.R with", R.version.string, paste(sapply(c("WINS", "BuyseTest", "WR"), function(p) paste(p, packageVersion(p))), collapse = ", "))
writeLines(c(header, "case,name,value", paste(out$case, out$name, trimws(out$value), sep = ",")), "win_packages.csv")
