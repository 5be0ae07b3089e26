# MMRM: nlme::gls (REML) with unstructured, AR(1) and compound symmetric errors. gls stops early, so its estimates are
# refined by Newton steps on a plain dense restricted likelihood, which also gives the degrees of freedom: Satterthwaite
# by numerical derivatives (numDeriv; the unstructured V by its log-Cholesky root, which steps cannot make indefinite),
# Kenward-Roger by its formulas with dense matrices. No code is shared with ahsct.
# Run: Rscript repeated_measures.R  (writes repeated_measures.csv and the data sets beside it)
suppressMessages({library(nlme); library(numDeriv)})
control <- glsControl(maxIter = 500, msMaxIter = 1000, tolerance = 1e-12, msTol = 1e-14, opt = "nlminb")
out <- NULL
keep <- function(case, name, value)
  out <<- rbind(out, data.frame(case = case, name = name, value = format(as.numeric(value), digits = 16)))
write_data <- function(name, d) write.csv(d, paste0(name, ".csv"), row.names = FALSE, quote = FALSE)

shape <- function(kind, nt) switch(kind,
  un = function(p) { L <- matrix(0, nt, nt); L[lower.tri(L, TRUE)] <- p; diag(L) <- exp(diag(L)); L %*% t(L) },  # log-Cholesky
  cs = function(p) p[1] * diag(nt) + p[2],
  ar1 = function(p) p[1] * p[2]^abs(outer(1:nt, 1:nt, "-")))

record <- function(case, d, formula, kind) {
  d <- d[order(d$group, d$visit), ]; d$v <- as.integer(factor(d$visit)); d$vf <- factor(d$v); nt <- nlevels(d$vf)
  fit <- switch(kind,
    un = gls(formula, d, correlation = corSymm(form = ~ v | group), weights = varIdent(form = ~ 1 | vf), control = control),
    cs = gls(formula, d, correlation = corCompSymm(form = ~ 1 | group), control = control),
    ar1 = gls(formula, d, correlation = corAR1(form = ~ v | group), control = control))
  X <- model.matrix(formula, d); y <- d[[all.vars(formula)[1]]]; n <- nrow(X); p <- ncol(X)
  groups <- split(seq_len(n), d$group); V_of <- shape(kind, nt)
  whole <- function(V) { S <- matrix(0, n, n); for (g in groups) S[g, g] <- V[d$v[g], d$v[g]]; S }
  deviance <- function(par) {
    S <- whole(V_of(par)); W <- solve(S); xx <- t(X) %*% W %*% X; b <- solve(xx, t(X) %*% W %*% y); r <- y - X %*% b
    as.numeric(determinant(S)$modulus + determinant(xx)$modulus + t(r) %*% W %*% r + (n - p) * log(2 * pi)) }
  s2 <- fit$sigma^2
  C <- diag(nt)  # correlation over all visits, from the coefficients of the correlation structure
  if (kind == "un") {
    full <- names(groups)[which(lengths(groups) == nt)][1]; C <- corMatrix(fit$modelStruct$corStruct)[[full]]
    ratio <- rep(1, nt); ratio[as.integer(names(coef(fit$modelStruct$varStruct, uncons = FALSE)))] <- coef(fit$modelStruct$varStruct, uncons = FALSE)
    V <- s2 * C * outer(ratio, ratio); L <- t(chol(V)); diag(L) <- log(diag(L)); par <- L[lower.tri(L, TRUE)]
  } else { rho <- coef(fit$modelStruct$corStruct, unconstrained = FALSE)[[1]]
    par <- if (kind == "cs") s2 * c(1 - rho, rho) else c(s2, rho) }
  before <- deviance(par)
  for (step in 1:6) par <- par - solve(hessian(deviance, par), grad(deviance, par))
  slope <- grad(deviance, par)  # what is left of it, by the distance to the optimum that it means
  left <- max(abs(solve(hessian(deviance, par), slope)) / pmax(abs(par), 1e-3))
  cat(case, before + 2 * as.numeric(logLik(fit)), deviance(par) - before, left, "\n", file = stderr())
  stopifnot(deviance(par) <= before + 1e-8, abs(before + 2 * as.numeric(logLik(fit))) < 1e-5, left < 1e-8)
  S <- whole(V_of(par)); W <- solve(S); Phi <- solve(t(X) %*% W %*% X); b <- drop(Phi %*% t(X) %*% W %*% y)
  keep(case, "log_likelihood", -deviance(par) / 2); keep(case, "gls_log_likelihood", logLik(fit))
  V <- V_of(par); for (i in 1:nt) for (j in 1:i) keep(case, paste0("v_", i, "_", j), V[i, j])
  # Satterthwaite
  A <- 2 * solve(hessian(deviance, par))
  J <- jacobian(function(q) as.numeric(solve(t(X) %*% solve(whole(V_of(q))) %*% X)), par)
  # Kenward-Roger (1997): first and second derivatives of V
  unit <- function(k) { V <- matrix(0, nt, nt); V[lower.tri(V, TRUE)] <- as.numeric(1:m == k); V + t(V) - diag(diag(V)) }
  m <- length(par); D <- lapply(1:m, function(k) whole(switch(kind,
    un = unit(k), cs = V_of(as.numeric(1:m == k)),
    ar1 = { lag <- abs(outer(1:nt, 1:nt, "-")); if (k == 1) par[2]^lag else par[1] * ifelse(lag > 0, lag * par[2]^(lag - 1), 0) })))
  D2 <- function(k, l) { if (kind != "ar1" || (k == 1 && l == 1)) return(NULL)
    lag <- abs(outer(1:nt, 1:nt, "-"))
    whole(if (k != l) ifelse(lag > 0, lag * par[2]^(lag - 1), 0) else par[1] * ifelse(lag > 1, lag * (lag - 1) * par[2]^(lag - 2), 0)) }
  P <- lapply(1:m, function(k) -t(X) %*% W %*% D[[k]] %*% W %*% X)
  Q <- function(k, l) t(X) %*% W %*% D[[k]] %*% W %*% D[[l]] %*% W %*% X
  tr <- function(M) sum(diag(M)); E <- matrix(0, m, m)
  for (k in 1:m) for (l in 1:m) E[k, l] <- tr(D[[k]] %*% W %*% D[[l]] %*% W) - 2 * tr(Phi %*% Q(k, l)) + tr(Phi %*% P[[k]] %*% Phi %*% P[[l]])
  G <- 2 * solve(E); U <- 0
  for (k in 1:m) for (l in 1:m) { R <- D2(k, l); R <- if (is.null(R)) 0 else t(X) %*% W %*% R %*% W %*% X
    U <- U + G[k, l] * (Q(k, l) - P[[k]] %*% Phi %*% P[[l]] - R / 4) }
  adjusted <- Phi + 2 * Phi %*% U %*% Phi; adjusted <- (adjusted + t(adjusted)) / 2
  for (i in 1:p) {
    L <- as.numeric(1:p == i); g <- apply(J, 2, function(z) drop(L %*% matrix(z, p) %*% L))
    keep(case, paste0("estimate_", i), b[i]); keep(case, paste0("se_", i), sqrt(Phi[i, i]))
    keep(case, paste0("df_", i), 2 * Phi[i, i]^2 / drop(g %*% A %*% g))
    k <- sapply(P, function(M) drop(L %*% Phi %*% M %*% Phi %*% L))
    keep(case, paste0("kr_se_", i), sqrt(adjusted[i, i])); keep(case, paste0("kr_df_", i), 2 * Phi[i, i]^2 / drop(k %*% G %*% k))
  }
}

orthodont <- data.frame(y = Orthodont$distance, visit = Orthodont$age, arm = as.integer(Orthodont$Sex == "Female"), group = Orthodont$Subject)
cells <- function(d) { f <- list(); for (a in sort(unique(d$arm))) for (v in sort(unique(d$visit))) {
  d[[paste0("a", a, "v", v)]] <- as.integer(d$arm == a & d$visit == v) }; d }
for (kind in c("un", "ar1", "cs")) record(paste0("orthodont_", kind), orthodont, y ~ factor(arm):factor(visit) - 1, kind)
gaps <- orthodont[-c(2, 7, 8, 15, 16, 22, 29, 30, 31, 40, 47, 48, 61, 70, 72, 77, 84, 87, 88, 95, 99, 100, 106), ]  # dropouts and gaps
write_data("orthodont_gaps", gaps)
for (kind in c("un", "ar1", "cs")) record(paste0("orthodont_gaps_", kind), gaps, y ~ factor(arm):factor(visit) - 1, kind)

# 50 chicks, weight (100 g) at days 4, 10, 14, 20 with the weight at birth as covariate; five died or were lost before day 20
chick <- data.frame(y = ChickWeight$weight,  visit = ChickWeight$Time, arm = as.integer(ChickWeight$Diet), group = as.character(ChickWeight$Chick))
birth <- chick$y[chick$visit == 0]; names(birth) <- chick$group[chick$visit == 0]
chick$baseline <- birth[chick$group]; chick <- chick[chick$visit %in% c(4, 10, 14, 20), ]; chick$y <- chick$y / 100
chick$baseline <- chick$baseline - mean(birth[unique(chick$group)])
write_data("chick", chick)
for (kind in c("un", "ar1")) record(paste0("chick_", kind), chick, y ~ factor(arm):factor(visit) + baseline:factor(visit) - 1, kind)

# sleepstudy (reaction in units of 100 ms), days 1, 4 and 8, rows missing
sleep <- read.csv("sleepstudy_missing.csv"); sleep <- data.frame(y = sleep$y, visit = sleep$t, group = sleep$group)
sleep$y <- sleep$y / 100
sleep <- sleep[sleep$visit %in% c(1, 4, 8), ]; write_data("sleep_visits", sleep)
for (kind in c("un", "ar1", "cs")) record(paste0("sleep_", kind), sleep, y ~ factor(visit) - 1, kind)

header <- paste("# made by repeated_measures.R with", R.version.string, "nlme", packageVersion("nlme"), "numDeriv", packageVersion("numDeriv"))
writeLines(c(header, "case,name,value", paste(out$case, out$name, trimws(out$value), sep = ",")), "repeated_measures.csv")
