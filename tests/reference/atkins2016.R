# Reference values for the reconstructed 2016 trial, computed from the committed tables.
# Run from the repository root: Rscript tests/reference/atkins2016.R
library(lme4)
library(survival)

folder <- "src/ahsct/studies/atkins2016"
table <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))
infused <- with(table("patients"), setNames(as.Date(index_date), patient_id))
days <- function(rows, column) as.numeric(as.Date(rows[[column]]) - infused[rows$patient_id])

# brain volume: a line with a break at 2.5 years, one random intercept per patient; all scans (those before
# infusion as of time zero), and those after infusion only
volume <- table("brain_volume")
volume$years <- days(volume, "scan_date") / 365.25
control <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10))
broken_line <- function(rows) {
  rows$early <- pmin(pmax(rows$years, 0), 2.5)
  rows$late <- pmax(rows$years - 2.5, 0)
  fit <- lmer(value ~ early + late + (1 | patient_id), rows, REML = TRUE, control = control)
  slopes <- fixef(fit)
  errors <- sqrt(diag(as.matrix(vcov(fit))))
  data.frame(
    quantity = paste(c("early_change", "early_change_std_error", "late_slope", "late_slope_std_error"), nrow(rows)),
    value = c(2.5 * slopes[["early"]], 2.5 * errors[["early"]], slopes[["late"]], errors[["late"]])
  )
}

# activity-free survival: a change by 1.0 or more that is kept to the last visit; nothing else is active
visits <- table("visits")
visits$day <- days(visits, "visit_date")
contact <- table("follow_up")
contact$day <- days(contact, "last_contact_date")
one <- function(id) {
  own <- visits[visits$patient_id == id, ]
  after <- own[own$day > 0, ]
  worse <- rev(cumprod(rev(after$edss - tail(own$edss[own$day < 0], 1) >= 1))) == 1
  if (any(worse)) c(min(after$day[worse]), 1) else c(contact$day[contact$patient_id == id], 0)
}
alive <- contact$patient_id[contact$vital_status == "alive"]
times <- t(sapply(alive, one))
curve <- survfit(Surv(times[, 1], times[, 2]) ~ 1, conf.type = "log-log")
at3 <- summary(curve, times = 1096)

out <- rbind(
  broken_line(volume),
  broken_line(volume[volume$years > 0, ]),
  data.frame(quantity = c("survival_3y", "survival_3y_lower", "survival_3y_upper"),
             value = c(at3$surv, at3$lower, at3$upper))
)
out$value <- sprintf("%.12g", out$value)
file <- "tests/reference/atkins2016.csv"
writeLines(c(
  paste0("# R ", getRversion(), ", lme4 ", packageVersion("lme4"), ", survival ", packageVersion("survival")),
  "# lmer(value ~ early + late + (1 | patient_id), REML), the number of scans behind each; survfit(Surv(day, progression) ~ 1, conf.type = \"log-log\")"
), file)
suppressWarnings(write.table(out, file, sep = ",", row.names = FALSE, quote = FALSE, append = TRUE))
