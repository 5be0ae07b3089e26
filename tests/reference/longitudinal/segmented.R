# The estimated break by segmented::segmented.lme (one break for all, random intercept, full likelihood), on the data of broken_stick.R and
# Loblolly (height in feet by age in years, 14 trees, rows missing).
# Call: segmented(lme(y ~ t, random = ~ 1 | group, method = "ML", control = tight), seg.Z = ~ t, psi = start, random = list(group = pdDiag(~ 1)),
# control = seg.control(tol = 1e-12, it.max = 500, n.boot = 0)). Kept: the break, and slopes and log-likelihood of its last fit (whose column
# for the break has coefficient 0 at the solution). segmented goes to a nearby maximum: the starts are the breaks rounded.
# Run: Rscript segmented.R  (writes segmented.csv, loblolly.csv)
suppressMessages({library(segmented); library(nlme)})
out <- NULL
keep <- function(case, name, value) out <<- rbind(out, data.frame(case = case, name = name, value = format(as.numeric(value), digits = 16)))
write_data <- function(name, d) write.csv(d, paste0(name, ".csv"), row.names = FALSE, quote = FALSE)
tight <- lmeControl(msTol = 1e-14, tolerance = 1e-12, niterEM = 100, msMaxIter = 500, maxIter = 500)
record <- function(case, data, start) {
  data$group <- factor(data$group); d <<- data
  s <- segmented(lme(y ~ t, random = ~ 1 | group, data = d, method = "ML", control = tight), seg.Z = ~ t, psi = start, random = list(group = pdDiag(~ 1)),
    control = seg.control(tol = 1e-12, it.max = 500, n.boot = 0))
  b <- fixef(s$lme.fit); keep(case, "break", b[["G0"]]); keep(case, "before", b[["t"]]); keep(case, "change", b[["U"]]); keep(case, "log_likelihood", logLik(s$lme.fit)) }
loblolly <- data.frame(y = Loblolly$height, t = Loblolly$age, group = as.character(Loblolly$Seed))[-seq(5, 84, 11), ]; write_data("loblolly", loblolly)
record("theoph", read.csv("theoph.csv"), 0.8); record("volume", read.csv("../mixed_model_unbalanced.csv"), 1.9)
record("loblolly", loblolly, 12); record("bodyweight", read.csv("bodyweight.csv"), 7)
header <- paste("# made by segmented.R with", R.version.string, "segmented", packageVersion("segmented"), "nlme", packageVersion("nlme"))
writeLines(c(header, "case,name,value", paste(out$case, out$name, trimws(out$value), sep = ",")), "segmented.csv")
