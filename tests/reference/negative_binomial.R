# Writes negative_binomial_data.csv (data sets that ship with MASS 7.3.58.2) and negative_binomial.csv. R 4.2.2.
# glm.nb(number ~ x... + offset(log(exposure_years)), control = glm.control(epsilon = 1e-14, maxit = 500)); theta and
# the coefficients then polished by theta.ml(limit = 100, eps = 1e-14) and glm(negative.binomial(theta)) in turn.
# expected: vcov; observed: inverse of numDeriv 2016.8.1.1's hessian of the joint log likelihood in (beta, log phi);
# robust: sandwich 3.0.2, vcovHC(type = "HC0") by its formula; profile limits: uniroot on 2 (l - l(b)) - qchisq, l(b) by
# glm.nb with the coefficient in the offset.
library(MASS); library(numDeriv)
f <- function(x) sprintf("%.17g", x)
quine2 <- with(quine, data.frame(set = "quine", number = Days, exposure_years = 1, x1 = as.numeric(Sex == "M"), x2 = as.numeric(Eth == "N"), x3 = as.numeric(Lrn == "SL")))
epil2 <- with(subset(epil, period == 1), data.frame(set = "epil", number = y, exposure_years = 2 / 52, x1 = as.numeric(trt == "progabide"), x2 = log(base / 4), x3 = age / 10))
ships2 <- with(subset(ships, service > 0), data.frame(set = "ships", number = incidents, exposure_years = service / 1000, x1 = as.numeric(period == 75), x2 = as.numeric(type %in% c("A", "B")), x3 = (year - 60) / 10))
insurance2 <- with(Insurance, data.frame(set = "Insurance", number = Claims, exposure_years = Holders, x1 = as.numeric(Age == ">35"), x2 = as.numeric(District == 4), x3 = as.numeric(Group == ">2l")))
all <- rbind(quine2, epil2, ships2, insurance2); rows <- list()
for (set in unique(all$set)) {
  d <- all[all$set == set, ]; X <- model.matrix(~ x1 + x2 + x3, d); o <- log(d$exposure_years); y <- d$number
  fitted_nb <- function(X, o) {
    g <- suppressWarnings(glm.nb(y ~ X - 1 + offset(o), control = glm.control(epsilon = 1e-12, maxit = 500))); th <- g$theta
    for (i in 1:200) { old <- th; g <- glm(y ~ X - 1 + offset(o), family = negative.binomial(th), control = glm.control(epsilon = 1e-14, maxit = 100), start = coef(g))
      th <- as.numeric(theta.ml(y, fitted(g), limit = 200, eps = 1e-13)); if (abs(th / old - 1) < 1e-12) break }
    list(coef = unname(coef(g)), theta = th, mu = fitted(g), ll = sum(dnbinom(y, size = th, mu = fitted(g), log = TRUE)))
  }
  m <- fitted_nb(X, o); mu <- m$mu; th <- m$theta
  expected <- solve(crossprod(X * (mu / (1 + mu / th)), X)); s <- X * ((y - mu) / (1 + mu / th))
  joint <- solve(-hessian(function(p) sum(dnbinom(y, size = exp(-p[5]), mu = exp(drop(X %*% p[1:4]) + o), log = TRUE)), c(m$coef, -log(th)), method.args = list(r = 6)))
  robust <- expected %*% crossprod(s) %*% expected
  for (j in 1:4) {
    loss <- function(b) 2 * (m$ll - fitted_nb(X[, -j, drop = FALSE], o + X[, j] * b)$ll) - qchisq(0.95, 1)
    e <- sqrt(expected[j, j]); lim <- sapply(c(-1, 1), function(k) uniroot(loss, sort(m$coef[j] + k * e * c(0.2, 6)), tol = 1e-11)$root)
    rows[[length(rows) + 1]] <- data.frame(set, term = j - 1, coef = f(m$coef[j]), expected = f(e), observed = f(sqrt(joint[j, j])), robust = f(sqrt(robust[j, j])), lower = f(lim[1]), upper = f(lim[2]), dispersion = f(1 / th), dispersion_error = f(sqrt(joint[5, 5]) / th), loglik = f(m$ll))
  }
}
options(digits = 15)
write.csv(all, "negative_binomial_data.csv", row.names = FALSE, quote = FALSE)
write.csv(do.call(rbind, rows), "negative_binomial.csv", row.names = FALSE, quote = FALSE)
