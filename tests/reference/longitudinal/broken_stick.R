# Broken stick with known and estimated break: lme4 (full likelihood over the break by optimize, REML at it), pbkrtest.
# Run: Rscript broken_stick.R  (writes broken_stick.csv and the data sets beside it)
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest); library(nlme)})
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-11, maxfun = 1e6),
                     check.conv.singular = "ignore", check.conv.grad = "ignore", check.conv.hess = "ignore")
out <- NULL
keep <- function(case, name, value)
  out <<- rbind(out, data.frame(case = case, name = name, value = format(as.numeric(value), digits = 16)))
write_data <- function(name, d) write.csv(d, paste0(name, ".csv"), row.names = FALSE, quote = FALSE)

record <- function(case, d, random, break_at = NULL) {
  full <- function(c) { d$after <- pmax(d$t - c, 0)
    as.numeric(-2 * logLik(lmer(as.formula(paste("y ~ t + after +", random)), d, REML = FALSE, control = tight))) }
  weights <- rbind(c(0, 1, 0), c(0, 1, 1), c(0, 0, 1))
  at <- break_at
  if (is.null(at)) {
    times <- sort(unique(d$t)); ends <- c(times[2], times[length(times) - 1])
    grid <- approx(seq_along(times), times, seq(2, length(times) - 1, length.out = 151))$y; h <- sapply(grid, full); i <- which.min(h)
    o <- optimize(full, c(grid[max(i - 1, 1)], grid[min(i + 1, 151)]), tol = 1e-10)
    at <- o$minimum
    jump <- function(c) { d$after <- pmax(d$t - c, 0); d$jump <- -(d$t > c)  # its coefficient is 0 at a smooth optimum
      fixef(lmer(as.formula(paste("y ~ t + after + jump +", random)), d, REML = FALSE, control = tight))[["jump"]] }
    near <- at + c(-1e-4, 1e-4); inside <- any(d$t > near[1] & d$t < near[2])
    if (!inside && jump(near[1]) * jump(near[2]) < 0) at <- uniroot(jump, near, tol = 1e-13)$root
    beside <- d$t[which.min(abs(d$t - at))]; if (abs(beside - at) < 1e-6) at <- beside  # a kink: the optimum is a visit
    limit <- o$objective + qchisq(0.95, 1)
    keep(case, "break", at); keep(case, "deviance", o$objective)
    f <- function(c) full(c) - limit
    if (f(ends[1]) > 0) keep(case, "lower", uniroot(f, c(ends[1], at), tol = 1e-10)$root)
    if (f(ends[2]) > 0) keep(case, "upper", uniroot(f, c(at, ends[2]), tol = 1e-10)$root)
  }
  d$after <- pmax(d$t - at, 0)
  fit <- lmer(as.formula(paste("y ~ t + after +", random)), d, control = tight)
  errors <- fit; L <- weights
  if (is.null(break_at)) {
    d$jump <- -fixef(fit)[["after"]] * (d$t > at)
    errors <- lmer(as.formula(paste("y ~ t + after + jump +", random)), d, control = tight); L <- cbind(weights, 0)
  }
  for (k in 1:3) {
    keep(case, paste0("estimate_", k), sum(weights[k, ] * fixef(fit)))
    e <- contest1D(errors, L[k, ], ddf = "Kenward-Roger"); keep(case, paste0("se_", k), e[["Std. Error"]]); keep(case, paste0("df_", k), e$df)
  }
}

# pseudo-atrophy: 17 patients at uneven times (the data of mixed_model.R), two slopes broken at 2.5 years
volume <- read.csv("../mixed_model_unbalanced.csv")
record("volume_known", volume, "(1 | group)", 2.5)
record("volume_estimated", volume, "(1 | group)")
record("volume_known_slope", volume, "(t | group)", 2.5)

# growth of rats (16 rats, days 1 to 64, shipped with nlme; every seventh row left out), in weeks
body <- read.csv("bodyweight.csv")
record("bodyweight_estimated", body, "(1 | group)")

# Theoph: log concentration after 1 hour in 12 subjects
theoph <- subset(data.frame(y = log(Theoph$conc + 0.1), t = Theoph$Time, group = Theoph$Subject), t > 0)
write_data("theoph", theoph)
record("theoph_estimated", theoph, "(1 | group)")

header <- paste("# made by broken_stick.R with", R.version.string, "lme4", packageVersion("lme4"), "lmerTest", packageVersion("lmerTest"),
                "pbkrtest", packageVersion("pbkrtest"))
writeLines(c(header, "case,name,value", paste(out$case, out$name, trimws(out$value), sep = ",")), "broken_stick.csv")
