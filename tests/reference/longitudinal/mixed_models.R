# Mixed models with random slopes correlated or not: lme4 by REML, Satterthwaite (lmerTest), Kenward-Roger (pbkrtest).
# Run: Rscript mixed_models.R  (writes mixed_models.csv and the data sets beside it)
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest); library(nlme)})
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-11, maxfun = 1e6),
                     check.conv.singular = "ignore", check.conv.grad = "ignore", check.conv.hess = "ignore")
out <- NULL
keep <- function(case, name, value)
  out <<- rbind(out, data.frame(case = case, name = name, value = format(as.numeric(value), digits = 16)))
record <- function(case, fit, tests = list()) {
  s <- summary(fit)$coefficients; k <- summary(fit, ddf = "Kenward-Roger")$coefficients
  for (i in seq_len(nrow(s))) {
    keep(case, paste0("estimate_", i), s[i, 1]); keep(case, paste0("se_", i), s[i, 2]); keep(case, paste0("df_", i), s[i, 3])
    keep(case, paste0("kr_se_", i), k[i, 2]); keep(case, paste0("kr_df_", i), k[i, 3])
  }
  keep(case, "residual_variance", sigma(fit)^2); keep(case, "log_likelihood", logLik(fit))
  v <- as.data.frame(VarCorr(fit)); for (i in seq_len(nrow(v) - 1)) keep(case, paste0("vc_", i), v$vcov[i])
  if (length(tests)) {
    L <- tests[[1]]
    a <- contestMD(fit, L); b <- KRmodcomp(fit, L)$test["Ftest", ]  # F is the scaled one
    keep(case, "f_satterthwaite", a[["F value"]]); keep(case, "f_satterthwaite_df", a$DenDF); keep(case, "f_satterthwaite_p", a[["Pr(>F)"]])
    keep(case, "f_kr", b$stat); keep(case, "f_kr_df", b$ddf); keep(case, "f_kr_p", b$p.value)
  }
}
write_data <- function(name, d) write.csv(d, paste0(name, ".csv"), row.names = FALSE, quote = FALSE)

sleep <- data.frame(y = sleepstudy$Reaction, t = sleepstudy$Days, group = sleepstudy$Subject)
record("sleepstudy_slope", lmer(y ~ t + (t | group), sleep, control = tight), list(diag(2)))
record("sleepstudy_uncorrelated", lmer(y ~ t + (t || group), sleep, control = tight), list(diag(2)))
missing <- sleep[-c(3, 4, 17, 25:28, 61, 62, 63, 64, 65, 66, 67, 68, 69, 99, 120, 121, 170:179), ]  # one subject with one row
write_data("sleepstudy_missing", missing)
record("sleepstudy_missing", lmer(y ~ t + (t | group), missing, control = tight), list(diag(2)))
record("sleepstudy_missing_uncorrelated", lmer(y ~ t + (t || group), missing, control = tight), list(diag(2)))

orthodont <- data.frame(y = Orthodont$distance, t = Orthodont$age, arm = as.integer(Orthodont$Sex == "Female"), group = Orthodont$Subject)
write_data("orthodont", orthodont)
record("orthodont_slope", lmer(y ~ arm + t + arm:t + (t | group), orthodont, control = tight), list(rbind(c(0, 1, 0, 0), c(0, 0, 0, 1))))
record("orthodont_intercept", lmer(y ~ arm + t + arm:t + (1 | group), orthodont, control = tight), list(rbind(c(0, 1, 0, 0), c(0, 0, 0, 1))))

body <- data.frame(y = BodyWeight$weight, t = BodyWeight$Time / 7, diet2 = as.integer(BodyWeight$Diet == 2),
                   diet3 = as.integer(BodyWeight$Diet == 3), group = BodyWeight$Rat)
body <- body[-seq(5, nrow(body), 7), ]
write_data("bodyweight", body)
record("bodyweight_slope", lmer(y ~ diet2 + diet3 + t + diet2:t + diet3:t + (t | group), body, control = tight),
       list(rbind(c(0, 0, 0, 0, 1, 0), c(0, 0, 0, 0, 0, 1))))

baking <- data.frame(y = cake$angle, t = cake$temp, rb = as.integer(cake$recipe == "B"), rc = as.integer(cake$recipe == "C"),
                     group = paste(cake$recipe, cake$replicate, sep = "-"))
write_data("cake", baking)
record("cake_intercept", lmer(y ~ rb + rc + t + (1 | group), baking, control = tight), list(rbind(c(0, 1, 0, 0), c(0, 0, 1, 0))))

boundary <- read.csv("../mixed_model_boundary.csv")  # no variance between groups
record("boundary_intercept", lmer(y ~ t + (1 | group), boundary, control = tight))

header <- paste("# made by mixed_models.R with", R.version.string, "lme4", packageVersion("lme4"), "lmerTest", packageVersion("lmerTest"),
                "pbkrtest", packageVersion("pbkrtest"), "nlme", packageVersion("nlme"))
writeLines(c(header, "case,name,value", paste(out$case, out$name, trimws(out$value), sep = ",")), "mixed_models.csv")
