# Run one job of benchmarks/survival.py with R's survival or cmprsk: Rscript survival.R LIBRARY JOB FOLDER. Prints one line
# of JSON, as measure.py does; the numbers a job gives are those of `ours` in benchmarks/survival.py.
arguments <- commandArgs(TRUE); library_name <- arguments[1]; job <- arguments[2]; folder <- arguments[3]
suppressMessages({library(survival); if (library_name == "cmprsk") library(cmprsk)})
take <- function(name) { path <- file.path(folder, paste0(name, ".f64")); readBin(path, "double", file.size(path) / 8) }
status <- function(name) as.numeric(gsub("[^0-9]", "", grep(name, readLines("/proc/self/status"), value = TRUE))) / 1024
at <- if (grepl("days$", job)) 183 else 0.5
read <- function(fit, column) { k <- findInterval(at, fit$time); if (is.matrix(fit[[column]])) fit[[column]][k, 2] else fit[[column]][k] }
if (grepl("^cox", job)) {
  time <- take("time_cox"); event <- take("died"); x <- matrix(take("x"), ncol = 5, byrow = TRUE); cluster <- take("patient")
} else {
  time <- take(sub(".*_", "", job)); cause <- take("cause"); arm <- take("arm"); event <- cause > 0; state <- factor(cause)
}
work <- switch(sub("_(years|days)$", "", job),
  kaplan_meier = function() { fit <- survfit(Surv(time, event) ~ arm, conf.type = "log-log")[2]; c(read(fit, "surv"), read(fit, "std.err") * read(fit, "surv")) },
  log_rank = function() c(survdiff(Surv(time, event) ~ arm)$chisq, NA),
  aalen_johansen = if (library_name == "cmprsk") function() { fit <- cuminc(time, cause)[["1 1"]]; k <- findInterval(at, fit$time); c(fit$est[k], sqrt(fit$var[k])) }
    else function() { fit <- survfit(Surv(time, state) ~ 1, conf.type = "log-log"); c(read(fit, "pstate"), read(fit, "std.err")) },
  cox = function() { fit <- coxph(Surv(time, event) ~ x); c(coef(fit)[1], sqrt(vcov(fit)[1, 1])) },
  cox_cluster = function() { fit <- coxph(Surv(time, event) ~ x, cluster = cluster); c(coef(fit)[1], sqrt(vcov(fit)[1, 1])) })
cpu <- function(calls) sum(system.time(for (i in seq_len(calls)) found <<- work())[c("user.self", "sys.self")]) / calls
before <- status("VmRSS"); found <- NULL; seconds <- cpu(1); peak <- status("VmHWM")
if (seconds < 5) { calls <- floor(0.5 / max(seconds, 0.001)) + 1; seconds <- min(replicate(3, cpu(calls))) }
number <- function(x) ifelse(is.na(x), "NaN", sprintf("%.17g", x))
cat(sprintf('{"cpu_s": %s, "peak_mb": %s, "found": [%s]}\n', number(seconds), number(peak - before), paste(number(found), collapse = ", ")))
