# Writes curve_data.csv: the data sets behind the reference values of curves, as R ships them.
# R 4.2.2, survival 3.5.3, MASS 7.3.58.2. entry 0 = from the start; cause 0 = censored.
library(survival); data(Melanoma, package = "MASS")
one <- function(name, time, cause, entry = 0) data.frame(data_set = name, entry = entry, time = time, cause = cause)
stay <- subset(heart, transplant == 1)                       # at risk from transplantation on
late <- floor(Melanoma$time * ((seq_len(nrow(Melanoma)) * 7) %% 10) / 20)  # constructed delayed entry
m <- mgus2; own <- m$pstat == 1
d <- rbind(
  one("lung", lung$time, lung$status == 2), one("ovarian", ovarian$futime, ovarian$fustat),
  one("veteran", veteran$time, veteran$status), one("aml", aml$time, aml$status),
  one("heart_after_transplant", stay$stop, stay$event, stay$start),
  one("melanoma_delayed", Melanoma$time, c(1, 0, 2)[Melanoma$status], late),
  one("melanoma", Melanoma$time, c(1, 0, 2)[Melanoma$status]),
  one("mgus2", ifelse(own, m$ptime, m$futime), ifelse(own, 1, 2 * m$death)),
  one("pbc", pbc$time, pbc$status),
  one("rounding", c(0.1 + 0.2, 0.3, 0.3, 0.7, 0.8 - 0.1, 1.1, 1.4), c(1, 0, 1, 1, 1, 0, 1)))
for (x in c("entry", "time", "cause")) d[[x]] <- sprintf("%.17g", as.numeric(d[[x]]))
write.csv(d, "curve_data.csv", row.names = FALSE, quote = FALSE)
