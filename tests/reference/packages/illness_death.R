# Writes illness_death_data.csv and illness_death.csv. R 4.2.2, SmoothHazard 2025.07.24, prodlim, msm 1.7 (cav), survival 3.5.3
# (pbcseq). Visits find the event between left and right (right missing: not seen), death or last contact alive at time.
# bili3: bilirubin first seen at 3 or more; ascites first seen; cav: vasculopathy first seen; paq: dementia in the elderly
# (SmoothHazard), delayed entry at entry.
# idm fits Weibull intensities a k (k t)^(a - 1); ours are constant, a = 1. So its own log-likelihood, the Fortran function
# idmLikelihood, is called through the few lines below (compiled against the sources in SMOOTHHAZARD_SRC, where
# R CMD INSTALL left idmcommun.mod) and maximised here over the three k, a = 1: BFGS and Newton steps by fourth-order
# differences. idm(eps = c(9, 9, 9), maxiter = 1000), its Weibull maximum, is written beside it: it cannot be lower.
suppressMessages({library(SmoothHazard); library(prodlim); library(msm); library(survival)})
one <- function(d, name) do.call(rbind, lapply(split(d, d$id), function(z) {
  seen <- z[!z$is_end, ]; if (!nrow(seen) || seen$bad[1]) return(NULL)
  k <- which(seen$bad)[1]; end <- max(z$time)
  data.frame(data_set = name, entry = 0, left = if (is.na(k)) max(seen$time) else seen$time[k - 1], right = if (is.na(k)) NA else seen$time[k],
    time = end, is_dead = any(z$dead))
}))
p <- pbcseq; e <- p[!duplicated(p$id), ]; years <- 365.25
pbc <- function(bad) { ok <- !is.na(bad)
  rbind(data.frame(id = p$id, time = p$day / years, bad = bad, is_end = FALSE, dead = FALSE)[ok, ], data.frame(id = e$id, time = e$futime / years, bad = FALSE, is_end = TRUE, dead = e$status == 2)) }
k <- data.frame(id = cav$PTNUM, time = cav$years, bad = cav$state %in% 2:3, is_end = cav$state == 4, dead = cav$state == 4)
d <- rbind(one(pbc(p$bili >= 3), "bili3"), one(pbc(p$ascites == 1), "ascites"), one(k, "cav"))
data(Paq1000); q <- Paq1000
d <- rbind(d, with(q, data.frame(data_set = "paq", entry = e, left = l, right = ifelse(dementia == 1, r, NA), time = t, is_dead = death == 1)))
d <- d[d$time > d$entry & (is.na(d$right) | d$right < d$time), ]
d$id <- seq_len(nrow(d)); rows <- list()
put <- function(package, data_set, what, value) rows[[length(rows) + 1]] <<- data.frame(package, data_set, what, at = seq_along(value), value = sprintf("%.17g", value))
shim <- file.path(tempdir(), "shim.f90"); so <- sub("f90$", "so", shim)
writeLines(c("subroutine given(n, e, l, r, d, k, late, b, value)", "use idmCommun", "implicit none", "integer :: n, k(n), late",
  "double precision :: e(n), l(n), r(n), d(n), b(6), value", "double precision, external :: idmLikelihood",
  "no = n; nva01 = 0; nva02 = 0; nva12 = 0; troncature = late", "allocate(t0(n), t1(n), t2(n), t3(n), c(n), ve01(n, 0), ve02(n, 0), ve12(n, 0))",
  "t0 = e; t1 = l; t2 = r; t3 = d; c = k", "value = idmLikelihood(b, 6, 0, 0.d0, 0, 0.d0)", "deallocate(t0, t1, t2, t3, c, ve01, ve02, ve12)",
  "end subroutine"), shim)
lib <- system.file("libs/SmoothHazard.so", package = "SmoothHazard")
stopifnot(system2("gfortran", c("-shared", "-fPIC", paste0("-I", Sys.getenv("SMOOTHHAZARD_SRC")), "-o", so, shim, lib)) == 0); dyn.load(so)
for (name in unique(d$data_set)) {
  x <- d[d$data_set == name, ]; ill <- !is.na(x$right); late <- any(x$entry > 0)
  kind <- ifelse(ill, ifelse(x$is_dead, 4, 2), ifelse(x$is_dead, 7, ifelse(x$left == x$time, 1, 6))); r <- ifelse(ill, x$right, x$left)
  loglik <- function(k) .Fortran("given", nrow(x), x$entry, x$left, r, x$time, as.integer(kind), as.integer(late), as.double(rbind(1, sqrt(exp(k)))), 0)[[9]]
  along <- function(j, h) replace(rep(0, 3), j, h)
  slope <- function(k, h = 1e-2) sapply(1:3, function(j) (8 * (loglik(k + along(j, h)) - loglik(k - along(j, h))) - (loglik(k + along(j, 2 * h)) - loglik(k - along(j, 2 * h)))) / (12 * h))
  bend <- function(k, h = 1e-2) { m <- sapply(1:3, function(j) (8 * (slope(k + along(j, h)) - slope(k - along(j, h))) - (slope(k + along(j, 2 * h)) - slope(k - along(j, 2 * h)))) / (12 * h)); (m + t(m)) / 2 }
  k <- optim(log(c(sum(ill), rep(sum(x$is_dead), 2)) / sum(x$time - x$entry)), function(k) -loglik(k), method = "BFGS", control = list(reltol = 1e-12))$par
  for (i in 1:4) k <- k - solve(bend(k), slope(k))
  a <- if (late) Hist(time = time, event = dead, entry = entry) ~ 1 else Hist(time = time, event = dead) ~ 1
  z <- with(x, data.frame(entry, left, r, time, ill = 1 * ill, dead = 1 * is_dead))
  w <- idm(formula02 = a, formula01 = Hist(time = list(left, r), event = ill) ~ 1, formula12 = a, data = z, maxiter = 1000, eps = c(9, 9, 9), conf.int = FALSE)
  p <- w$modelPar  # the same function at idm's own maximum gives idm's own value
  same <- .Fortran("given", nrow(x), x$entry, x$left, r, x$time, as.integer(kind), as.integer(late), sqrt(p), 0)[[9]]
  cat(name, nrow(x), "events", sum(ill), "deaths", sum(x$is_dead), "gradient", max(abs(slope(k))), "idm", w$loglik[1], same - w$loglik[1], "\n")
  stopifnot(abs(same - w$loglik[1]) < 1e-8, w$converged[1] == 1)
  put("SmoothHazard", name, "log_rate", k); put("SmoothHazard", name, "loglik", loglik(k)); put("SmoothHazard", name, "covariance", as.vector(solve(-bend(k))))
  put("SmoothHazard", name, "weibull_loglik", w$loglik[1])
}
f <- function(x) ifelse(is.na(x), "", sprintf("%.17g", x)); for (x in c("entry", "left", "right", "time")) d[[x]] <- f(d[[x]])
write.csv(d, "illness_death_data.csv", row.names = FALSE, quote = FALSE); write.csv(do.call(rbind, rows), "illness_death.csv", row.names = FALSE, quote = FALSE)
