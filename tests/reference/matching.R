# Writes matching_data.csv, matching_pairs.csv and matching.csv. R 4.2.2. Data: lalonde of MatchIt 4.5.1, gbsg and veteran
# of survival 3.5.3, the first patient of each pattern of covariates (ties between partners have no common rule).
# logit: predict(glm(treated ~ x1 + x2 + x3 + x4 + x5, binomial, epsilon = 1e-14)). Pairs: a plain loop from the definition,
# largest logit first, nearest free partner within the caliper. MatchIt 4.5.1 (Debian) cannot serve: with a caliper of 0.036
# it returns pairs 0.26 apart, and without one it passes over nearer free partners (lalonde: 13 gets 324, 1.8e-4 away,
# though 376 is free, 3e-5 away); 4.7.1 makes the pairs of this loop (comparison_packages.R). The script prints in how many pairs it differs.
# Curves: survfit(Surv(time, event) ~ 1, cluster = pair, robust = TRUE) of one group.
suppressMessages({library(survival); library(MatchIt)}); f <- function(x) sprintf("%.17g", x); data(lalonde)
sets <- list(lalonde = with(lalonde, data.frame(treated = treat, x1 = age / 10, x2 = educ, x3 = married, x4 = round(re74 / 1000, 6), x5 = round(re75 / 1000, 6), time = round(re78 + 1, 3), event = as.numeric(re78 < 20000))),
  gbsg = with(gbsg, data.frame(treated = hormon, x1 = age / 10, x2 = nodes, x3 = size / 10, x4 = pgr / 100, x5 = er / 100, time = rfstime, event = status)),
  veteran = with(veteran, data.frame(treated = as.numeric(trt == 2), x1 = age / 10, x2 = karno / 10, x3 = as.numeric(prior > 0), x4 = diagtime, x5 = as.numeric(celltype == "smallcell"), time, event = status)))
at <- list(lalonde = c(1000, 5000, 10000), gbsg = c(500, 1000, 1800), veteran = c(50, 100, 200)); pairs <- rows <- kept <- list()
for (set in names(sets)) {
  d <- sets[[set]]; d$id <- seq_len(nrow(d)); d <- d[!duplicated(d[, paste0("x", 1:5)]), ]; rownames(d) <- d$id; kept[[set]] <- cbind(set, d)
  s <- predict(glm(treated ~ x1 + x2 + x3 + x4 + x5, binomial, d, control = glm.control(epsilon = 1e-14, maxit = 100)))
  loop <- function(width) { free <- as.character(d$id[d$treated == 0]); out <- NULL; smallest <- Inf
    for (t in as.character(d$id[d$treated == 1])[order(-s[d$treated == 1])]) { if (!length(free)) break; g <- abs(s[free] - s[t]); k <- which.min(g)
      if (length(g) > 1) smallest <- min(smallest, sort(g)[2] - sort(g)[1]); if (g[k] <= width) { out <- rbind(out, c(t, free[k])); free <- free[-k] } }
    cat(set, width, nrow(out), "pairs; nearest two differ by at least", smallest, "\n"); out }
  m <- matchit(treated ~ x1, d, method = "nearest", distance = s, m.order = "largest")$match.matrix; m <- m[!is.na(m[, 1]), , drop = FALSE]; q <- loop(Inf)
  cat(set, "MatchIt differs in", length(setdiff(paste(q[, 1], q[, 2]), paste(rownames(m), m[, 1]))), "of", nrow(q), "pairs; mean distance here", mean(abs(s[q[, 1]] - s[q[, 2]])), "MatchIt", mean(abs(s[rownames(m)] - s[m[, 1]])), "\n")
  for (cal in c(Inf, 0.2, 0.02)) { q <- loop(cal * sd(s)); pairs[[length(pairs) + 1]] <- data.frame(set, caliper = cal, treated = q[, 1], partner = q[, 2])
    e <- d; e$pair <- NA; e[q[, 1], "pair"] <- e[q[, 2], "pair"] <- seq_len(nrow(q)); e <- e[!is.na(e$pair), ]
    for (g in 0:1) { z <- summary(survfit(Surv(time, event) ~ 1, e[e$treated == g, ], cluster = pair, robust = TRUE), times = at[[set]])
      rows[[length(rows) + 1]] <- data.frame(set, caliper = cal, group = c("comparator", "treated")[g + 1], time = at[[set]], survival = f(z$surv), std_error = f(z$std.err)) } }
}
write.csv(do.call(rbind, kept), "matching_data.csv", row.names = FALSE, quote = FALSE); write.csv(do.call(rbind, pairs), "matching_pairs.csv", row.names = FALSE, quote = FALSE)
write.csv(do.call(rbind, rows), "matching.csv", row.names = FALSE, quote = FALSE)
