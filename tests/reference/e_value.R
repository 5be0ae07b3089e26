# Writes e_value.csv. R 4.2.2, base only: E = r + sqrt(r (r - 1)) with r = max(RR, 1 / RR) (VanderWeele and Ding 2017); odds ratios
# of common outcomes by their square root, hazard ratios by (1 - 0.5^sqrt(HR)) / (1 - 0.5^sqrt(1 / HR)). The ratios and limits come
# from fits to data sets that ship with R: colon (hazard ratios of death), infert (odds ratio), warpbreaks (rate ratios).
suppressMessages(library(survival))
e <- function(rr) { r <- ifelse(rr < 1, 1 / rr, rr); r + sqrt(r * (r - 1)) }
as_rr <- function(x, measure, common) if (!common) x else switch(measure, odds_ratio = sqrt(x), hazard_ratio = (1 - 0.5^sqrt(x)) / (1 - 0.5^sqrt(1 / x)), x)
rows <- list()
put <- function(name, measure, ci, common) {
  near <- if (ci[1] >= 1) ci[2] else ci[3]
  crosses <- if (ci[1] >= 1) ci[2] <= 1 else ci[3] >= 1
  rows[[length(rows) + 1]] <<- data.frame(name, measure, common, estimate = ci[1], lower = ci[2], upper = ci[3],
    e_estimate = e(as_rr(ci[1], measure, common)), e_limit = if (crosses) 1 else e(as_rr(near, measure, common)))
}
ci <- function(fit, i) as.vector(exp(c(coef(fit)[i], coef(fit)[i] + c(-1, 1) * qnorm(0.975) * sqrt(diag(vcov(fit)))[i])))
d <- subset(colon, etype == 2)
cox <- coxph(Surv(time, status) ~ rx, d, ties = "efron", control = coxph.control(eps = 1e-9, toler.chol = 1e-12))
logit <- glm(case ~ I(spontaneous > 0), binomial, infert, control = glm.control(epsilon = 1e-14))
rate <- glm(breaks ~ wool + tension, poisson, warpbreaks, control = glm.control(epsilon = 1e-14))
for (common in c(FALSE, TRUE)) {
  put("colon Lev", "hazard_ratio", ci(cox, 1), common); put("colon Lev+5FU", "hazard_ratio", ci(cox, 2), common)
  put("infert", "odds_ratio", ci(logit, 2), common)
}
put("warpbreaks wool", "rate_ratio", ci(rate, 2), FALSE); put("warpbreaks tension M", "rate_ratio", ci(rate, 3), FALSE)
out <- do.call(rbind, rows)
for (column in c("estimate", "lower", "upper", "e_estimate", "e_limit")) out[[column]] <- sprintf("%.17g", out[[column]])
write.csv(out, "e_value.csv", row.names = FALSE, quote = FALSE)
