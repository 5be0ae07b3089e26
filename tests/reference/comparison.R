# Writes comparison_data.csv (lalonde of MatchIt 4.5.1; gbsg and veteran of survival 3.5.3) and comparison.csv. R 4.2.2.
# Propensity: glm(treated ~ x1 + x2 + x3, binomial, epsilon = 1e-14); weights by their
# formulas; sample size (sum w)^2 / sum w^2; standardised difference by its formula.
# curves: survfit(Surv(time, event) ~ 1, weights, robust = TRUE) of one group: estimate and "known" error. "estimated"
# error, and that of the difference: square root of the sum over patients of the squared derivative of glm (or of the
# MAIC equations) and survfit together by the patient's case weight, central differences (step 1e-4).
# MAIC: patients of the treated group to three means; Newton on sum(exp((x - mean) a)) by damped steps of solve().
suppressMessages({library(survival); library(MatchIt)}); f <- function(x) sprintf("%.17g", x); rows <- list()
add <- function(set, what, group, term, value) rows[[length(rows) + 1]] <<- data.frame(set, what, group, term, value = f(value))
data(lalonde); l <- lalonde; v <- veteran
sets <- list(lalonde = with(l, data.frame(treated = treat, x1 = age / 10, x2 = educ, x3 = married, time = re78 + 1, event = as.numeric(re78 < 20000))),
  gbsg = with(gbsg, data.frame(treated = hormon, x1 = age / 10, x2 = as.numeric(grade > 1), x3 = sqrt(nodes), time = rfstime, event = status)),
  veteran = with(v, data.frame(treated = as.numeric(trt == 2), x1 = age / 10, x2 = karno / 10, x3 = as.numeric(prior > 0), time, event = status)))
for (s in names(sets)) { sets[[s]]$x3 <- round(sets[[s]]$x3, 8); sets[[s]]$time <- round(sets[[s]]$time, 3); sets[[s]]$id <- seq_len(nrow(sets[[s]])) }
at <- list(lalonde = c(1000, 5000, 10000), gbsg = c(500, 1000, 1800), veteran = c(50, 100, 200))
weights_of <- function(d, cw, kind) {
  if (kind == "maic") { X <- sweep(as.matrix(d[, c("x1", "x2", "x3")]), 2, target[[set]]); k <- d$treated == 1; g <- function(a) sum(cw[k] * exp(X[k, ] %*% a))
    a <- c(0, 0, 0); for (i in 1:60) { w <- cw[k] * exp(drop(X[k, ] %*% a)); st <- solve(crossprod(X[k, ] * w, X[k, ]), crossprod(X[k, ], w)); h <- 1; while (g(a - h * st) > g(a) * (1 + 1e-14) && h > 1e-8) h <- h / 2; a <- a - h * drop(st); if (max(abs(st)) < 1e-14) break }
    return(ifelse(k, exp(drop(X %*% a)), NA)) }
  e <- predict(suppressWarnings(glm(treated ~ x1 + x2 + x3, binomial, d, weights = cw, control = glm.control(epsilon = 1e-14, maxit = 100))), type = "response")
  switch(kind, ate = ifelse(d$treated == 1, 1 / e, 1 / (1 - e)), att = ifelse(d$treated == 1, 1, e / (1 - e)), overlap = ifelse(d$treated == 1, 1 - e, e))
}
surv <- function(d, w, k, t) summary(survfit(Surv(time, event) ~ 1, d[k, ], weights = w[k]), times = t)$surv
target <- list(lalonde = c(3.1, 11, 0.3), gbsg = c(5.3, 0.85, 2), veteran = c(6, 6, 0.4))
for (set in names(sets)) {
  d <- sets[[set]]; t <- at[[set]]; ones <- rep(1, nrow(d)); tr <- d$treated == 1
  for (kind in c("ate", "att", "overlap", "maic")) {
    w <- weights_of(d, ones, kind); groups <- if (kind == "maic") list(treated = tr) else list(treated = tr, comparator = !tr)
    for (g in names(groups)) { k <- groups[[g]]; add(set, paste0(kind, " ess"), g, "", sum(w[k])^2 / sum(w[k]^2))
      d$own <- w; s <- summary(survfit(Surv(time, event) ~ 1, d[k, ], weights = own, robust = TRUE), times = t); add(set, paste0(kind, " survival"), g, t, s$surv); add(set, paste0(kind, " known"), g, t, s$std.err) }
    if (kind != "maic") for (x in c("x1", "x2", "x3")) { sp <- sqrt((var(d[tr, x]) + var(d[!tr, x])) / 2)
      add(set, paste0(kind, " smd"), "weighted", x, (weighted.mean(d[tr, x], w[tr]) - weighted.mean(d[!tr, x], w[!tr])) / sp); if (kind == "ate") add(set, "smd", "unweighted", x, (mean(d[tr, x]) - mean(d[!tr, x])) / sp) }
    who <- if (kind == "maic") which(tr) else seq_len(nrow(d))
    slopes <- lapply(who, function(i) { one <- function(e) { cw <- ones; cw[i] <- 1 + e; u <- weights_of(d, cw, kind) * cw; lapply(groups, function(k) surv(d, u, k, t)) }
      a <- one(1e-4); b <- one(-1e-4); Map(function(p, q) (p - q) / 2e-4, a, b) })
    for (g in names(groups)) add(set, paste0(kind, " estimated"), g, t, sqrt(rowSums(sapply(slopes, function(z) z[[g]])^2)))
    if (kind != "maic") { add(set, paste0(kind, " difference"), "", t, surv(d, w, tr, t) - surv(d, w, !tr, t)); add(set, paste0(kind, " difference_error"), "", t, sqrt(rowSums(sapply(slopes, function(z) z$treated - z$comparator)^2))) }
  }
}
write.csv(do.call(rbind, lapply(names(sets), function(s) cbind(set = s, sets[[s]]))), "comparison_data.csv", row.names = FALSE, quote = FALSE)
write.csv(do.call(rbind, rows), "comparison.csv", row.names = FALSE, quote = FALSE)
