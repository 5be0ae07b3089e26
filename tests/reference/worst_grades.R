# Writes worst_grades_patients.csv, worst_grades_events.csv (data sets that ship with R, taken as graded events) and
# worst_grades.csv. R 4.2.2. pbcseq (survival 3.5.3: oedema and ascites at each visit of the first 120 patients, by
# treatment), bladder1 (survival: recurrences with a tumour, graded by their number, some unknown), epil (MASS
# 7.3.58.2: two-week periods with a seizure, graded by tens of seizures).
# Worst grade of a patient: the largest known; "not stated" where all are unknown; binom.test for each grade.
library(survival); library(MASS); f <- function(x) sprintf("%.17g", x); pats <- list(); evs <- list(); rows <- list()
p <- pbcseq[pbcseq$id <= 120, ]; pats$pbcseq <- unique(data.frame(set = "pbcseq", patient_id = p$id, arm = paste0("trt", p$trt), end_day = p$futime))
evs$pbcseq <- rbind(with(p[which(p$edema > 0), ], data.frame(set = "pbcseq", patient_id = id, term = "oedema", start_day = day, grade = 2 * edema)),
  with(p[is.na(p$ascites) | p$ascites > 0, ], data.frame(set = "pbcseq", patient_id = id, term = "ascites", start_day = day, grade = 3 * ascites)))
b <- bladder1; ends <- aggregate(stop ~ id + treatment, b, max); pats$bladder1 <- data.frame(set = "bladder1", patient_id = ends$id, arm = ends$treatment, end_day = ends$stop)
evs$bladder1 <- with(b[b$status == 1, ], data.frame(set = "bladder1", patient_id = id, term = "recurrence", start_day = stop, grade = suppressWarnings(as.numeric(as.character(rtumor)))))
pats$epil <- unique(data.frame(set = "epil", patient_id = epil$subject, arm = epil$trt, end_day = 56))
evs$epil <- with(epil[epil$y > 0, ], data.frame(set = "epil", patient_id = subject, term = "seizures", start_day = 14 * period, grade = pmin(1 + y %/% 10, 4)))
for (set in names(pats)) for (arm in sort(unique(as.character(pats[[set]]$arm)))) for (term in c("any", sort(unique(evs[[set]]$term)))) {
  who <- pats[[set]]$patient_id[pats[[set]]$arm == arm]; own <- evs[[set]][term == "any" | evs[[set]]$term == term, ]; n <- length(who)
  worst <- sapply(who, function(i) { g <- own$grade[own$patient_id == i]; if (!length(g)) "none" else if (all(is.na(g))) "not stated" else max(g, na.rm = TRUE) })
  for (grade in c("none", sort(unique(na.omit(evs[[set]]$grade))), "not stated")) { x <- sum(worst == grade); ci <- binom.test(x, n)$conf.int
    rows[[length(rows) + 1]] <- data.frame(set, arm, term, grade, n_events = x, n, estimate = f(x / n), lower = f(ci[1]), upper = f(ci[2])) }
}
write.csv(do.call(rbind, pats), "worst_grades_patients.csv", row.names = FALSE, quote = FALSE)
write.csv(do.call(rbind, evs), "worst_grades_events.csv", row.names = FALSE, quote = FALSE, na = "")
write.csv(do.call(rbind, rows), "worst_grades.csv", row.names = FALSE, quote = FALSE)
