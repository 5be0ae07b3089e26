# Writes panel_data.csv and panel_markov.csv. R 4.2.2, msm 1.7 (BFGS, reltol 1e-16, finished by Newton steps), survival
# 3.5.3 (pbcseq). cav: heart transplants, death exact; psor: psoriatic arthritis, no death; pbcseq: bilirubin
# below 2, to 5, from 5 mg/dl, death exact, last contact alive in a state not known (censor).
suppressMessages({library(msm); library(survival)})
one <- function(name, id, years, state) data.frame(data_set = name, id, years, state)
p <- with(pbcseq, one("pbcseq", id, day / 365.25, 1 + (bili >= 2) + (bili >= 5)))
ends <- pbcseq[!duplicated(pbcseq$id), ]; e <- with(ends, one("pbcseq", id, futime / 365.25, ifelse(status == 2, 4, 99)))
p <- rbind(p, e[e$years > tapply(p$years, p$id, max)[as.character(e$id)], ])
d <- rbind(one("cav", cav$PTNUM, cav$years, cav$state), one("psor", psor$ptnum, psor$months / 12, psor$state), p)
d <- d[order(d$data_set, d$id, d$years), ]; d <- d[!duplicated(d[, c("data_set", "id", "years")]), ]
q <- list(cav = rbind(c(0, 1, 0, 1), c(1, 0, 1, 1), c(0, 1, 0, 1), 0), psor = rbind(c(0, 1, 0, 0), c(0, 0, 1, 0), c(0, 0, 0, 1), 0),
  pbcseq = rbind(c(0, 1, 0, 1), c(1, 0, 1, 1), c(0, 1, 0, 1), 0))
rows <- list(); put <- function(data_set, what, at, value) rows[[length(rows) + 1]] <<- data.frame(data_set, what, at, value)
for (name in names(q)) {
  z <- d[d$data_set == name, ]; exact <- name %in% c("cav", "pbcseq")
  fit <- function(start, inits, fixed = FALSE, maxit = 1000) {
    a <- list(state ~ years, subject = z$id, data = z, qmatrix = start, gen.inits = inits, fixedpars = fixed, deathexact = if (exact) 4 else FALSE, method = "BFGS", control = list(fnscale = 4000, reltol = 1e-16, maxit = maxit))
    if (name == "pbcseq") a <- c(a, list(censor = 99, censor.states = 1:3))
    do.call(msm, a)
  }
  k <- fit(q[[name]] * 0.1, name != "pbcseq")
  # BFGS stops short of 1e-6: Newton steps with msm's likelihood (central differences) and msm's Hessian
  cells <- which(t(q[[name]]) > 0); to <- (cells - 1) %% 4 + 1; from <- (cells - 1) %/% 4 + 1
  as_q <- function(e) { m <- q[[name]] * 0; m[cbind(from, to)] <- exp(e); m }
  e <- log(qmatrix.msm(k, ci = "none")[cbind(from, to)])
  for (r in 1:3) {
    g <- sapply(seq_along(e), function(j) { h <- replace(0 * e, j, 1e-4); -(fit(as_q(e + h), FALSE, TRUE)$minus2loglik - fit(as_q(e - h), FALSE, TRUE)$minus2loglik) / 4e-4 })
    cat(name, "gradient", max(abs(g)), "\n"); if (max(abs(g)) < 1e-6) break
    e <- e + as.vector(k$covmat %*% g)
  }
  k <- fit(as_q(e), FALSE, FALSE, 0)
  # msm's own Hessian is good to about 1e-6: second differences of its likelihood, Richardson from steps 0.02 and 0.01
  at <- function(h) fit(as_q(e + h), FALSE, TRUE)$minus2loglik / 2
  n <- length(e); hessian <- matrix(0, n, n)
  second <- function(i, j, h) { u <- replace(0 * e, i, h); v <- replace(0 * e, j, h); (at(u + v) - at(u - v) - at(v - u) + at(-u - v)) / (4 * h^2) }
  for (i in 1:n) for (j in i:n) hessian[i, j] <- hessian[j, i] <- (4 * second(i, j, 0.01) - second(i, j, 0.02)) / 3
  cat(name, "msm's covariance against this, largest relative difference", max(abs(k$covmat / solve(hessian) - 1)), "\n")
  put(name, "transition", paste(from, to), seq_along(from))
  put(name, "log_rate", seq_along(from), e); put(name, "covariance", seq_len(length(from)^2), as.vector(solve(hessian))); put(name, "minus2loglik", 1, k$minus2loglik)
  put(name, "p5", 1:16, as.vector(t(pmatrix.msm(k, t = 5))))
  s <- sojourn.msm(k); put(name, "sojourn", seq_len(nrow(s)), s$estimates)
}
f <- function(x) sprintf("%.17g", x); d$years <- f(d$years); out <- do.call(rbind, rows); out$value <- f(out$value)
write.csv(d, "panel_data.csv", row.names = FALSE, quote = FALSE); write.csv(out, "panel_markov.csv", row.names = FALSE, quote = FALSE)
