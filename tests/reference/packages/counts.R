# Writes counts.csv: proportions, rates, ratios and pairs by exact methods. R 4.2.2, exactci 1.4.5, exact2x2 1.7.0, rateratio.test
# 1.1; counts from data that ship with R: datasets (UCBAdmissions, Titanic, infert), MASS 7.3.58.2 (birthwt, bacteria, epil, ships), survival
# 3.5.3 (cgd, bladder), and made-up ones with empty cells. exactci's control: tol = 1e-15 (its grid of Blaker's limits);
# binomMeld.test(eps = 1e-15); uniroot() and integrate() of exactci and exact2x2 are made to use tol = 1e-15 and rel.tol = 1e-12.
suppressMessages({library(exactci); library(exact2x2); library(rateratio.test); library(MASS); library(survival)})
for (p in c("exactci", "exact2x2")) { e <- parent.env(asNamespace(p)); for (x in intersect(c("integrate", "uniroot"), ls(e))) unlockBinding(x, e)
  if (exists("uniroot", e, inherits = FALSE)) assign("uniroot", function(..., tol) stats::uniroot(..., tol = 1e-15), e)
  if (exists("integrate", e, inherits = FALSE)) assign("integrate", function(...) stats::integrate(..., rel.tol = 1e-12, subdivisions = 5000L), e) }
ctl <- exactci:::binomControl(tol = 1e-15); rows <- list()
put <- function(package, what, data_set, a, b, c, d, value) rows[[length(rows) + 1]] <<- data.frame(package, what, data_set, a, b, c, d, at = seq_along(value), value = ifelse(is.finite(value), sprintf("%.17g", value), "NA"))
share <- list("birthwt" = c(sum(birthwt$low), nrow(birthwt)), "UCB, department F" = c(sum(UCBAdmissions["Admitted", , "F"]), sum(UCBAdmissions[, , "F"])),
  "Titanic, first class children" = c(sum(Titanic["1st", , "Child", "Yes"]), sum(Titanic["1st", , "Child", ])), "infert" = c(sum(infert$spontaneous == 2), nrow(infert)),
  "none of 24" = c(0, 24), "one of 24" = c(1, 24), "three of 24" = c(3, 24), "all of 24" = c(24, 24), "half of 10" = c(5, 10))
for (s in names(share)) { x <- share[[s]]
  put("exactci", "proportion, clopper-pearson", s, x[1], x[2], NA, NA, binom.exact(x[1], x[2], tsmethod = "central")$conf.int)
  put("exactci", "proportion, blaker", s, x[1], x[2], NA, NA, binom.exact(x[1], x[2], tsmethod = "blaker", control = ctl)$conf.int)
  put("exactci", "proportion, mid-p", s, x[1], x[2], NA, NA, binom.exact(x[1], x[2], midp = TRUE, control = ctl)$conf.int)
}
e <- epil[!duplicated(epil$subject) | TRUE, ]; g <- cgd[order(cgd$id, cgd$enum), ]; years <- function(z) sum(z$tstop - z$tstart) / 365.25
a <- cgd[cgd$treat == "rIFN-g", ]; b <- cgd[cgd$treat != "rIFN-g", ]; p <- e[e$trt == "progabide", ]; q <- e[e$trt == "placebo", ]
s1 <- ships[ships$type == "C" & ships$service > 0, ]; s2 <- ships[ships$type == "A" & ships$service > 0, ]; bl <- bladder2
rate <- list("cgd" = c(sum(a$status), years(a), sum(b$status), years(b)), "epil" = c(sum(p$y), 2 / 52 * nrow(p), sum(q$y), 2 / 52 * nrow(q)),
  "ships, type C and A" = c(sum(s1$incidents), sum(s1$service) / 12, sum(s2$incidents), sum(s2$service) / 12),
  "bladder2" = with(bl, c(sum(event[rx == 2]), sum((stop - start)[rx == 2]) / 12, sum(event[rx == 1]), sum((stop - start)[rx == 1]) / 12)),
  "5 in 60, 21 in 72" = c(5, 60, 21, 72), "none in 179, 9 in 160" = c(0, 179, 9, 160), "3 in 50, none in 40" = c(3, 50, 0, 40), "1 in 48, 2 in 31.5" = c(1, 48, 2, 31.5))
for (s in names(rate)) { x <- rate[[s]]; n <- x[c(1, 3)]; t <- x[c(2, 4)]
  put("exactci", "rate, garwood", s, x[1], x[2], NA, NA, poisson.exact(x[1], x[2], tsmethod = "central")$conf.int)
  put("exactci", "rate, mid-p", s, x[1], x[2], NA, NA, poisson.exact(x[1], x[2], midp = TRUE, control = ctl)$conf.int)
  put("exactci", "rate ratio, exact", s, x[1], x[2], x[3], x[4], poisson.exact(n, t, tsmethod = "central")$conf.int)
  put("exactci", "rate ratio, p by minlike", s, x[1], x[2], x[3], x[4], poisson.exact(n, t, tsmethod = "minlike")$p.value)
  put("exactci", "rate ratio, mid-p", s, x[1], x[2], x[3], x[4], poisson.exact(n, t, tsmethod = "central", midp = TRUE, control = ctl)$conf.int)
  put("rateratio.test", "rate ratio, exact", s, x[1], x[2], x[3], x[4], rateratio.test(n, t)$conf.int)
}
twice <- function(z, id, week, yes) { w <- reshape(z[, c(id, week, yes)], idvar = id, timevar = week, direction = "wide"); w <- w[complete.cases(w), ]
  c(sum(w[[2]] & !w[[3]]), sum(!w[[2]] & w[[3]]), nrow(w)) }
y <- bacteria[bacteria$week %in% c(0, 11), ]; y$yes <- y$y == "y"; y$ID <- as.character(y$ID); i <- infert; i$yes <- i$spontaneous > 0; i <- i[!duplicated(i[, c("stratum", "case")]), ]
v <- with(epil[epil$period %in% c(1, 4), ], data.frame(subject, period, yes = y > 4))
paired <- list("bacteria, weeks 0 and 11" = twice(y, "ID", "week", "yes"), "infert, case and control" = twice(i, "stratum", "case", "yes"), "epil, periods 1 and 4" = twice(v, "subject", "period", "yes"),
  "no change" = c(0, 0, 12), "one way only" = c(5, 0, 20), "the other way" = c(0, 4, 9), "9 and 3 of 27" = c(9, 3, 27), "7 and 7 of 40" = c(7, 7, 40))
for (s in names(paired)) { x <- paired[[s]]; if (sum(x[1:2]) == 0) next
  r <- mcnemar.exact(matrix(c(x[3] - x[1] - x[2], x[2], x[1], 0), 2)); put("exact2x2", "paired odds ratio, mcnemar.exact", s, x[1], x[2], x[3], NA, c(r$conf.int, r$p.value)) }
arms <- list("16 and 8 of 24" = c(16, 24, 8, 24), "birthwt by smoking" = with(birthwt, c(sum(low[smoke == 1]), sum(smoke == 1), sum(low[smoke == 0]), sum(smoke == 0))),
  "Titanic, children of the third class, girls and boys" = c(Titanic["3rd", "Female", "Child", "Yes"], sum(Titanic["3rd", "Female", "Child", ]), Titanic["3rd", "Male", "Child", "Yes"], sum(Titanic["3rd", "Male", "Child", ])),
  "bacteria, week 11, active drug" = with(bacteria[bacteria$week == 11, ], c(sum(y == "y" & ap == "a"), sum(ap == "a"), sum(y == "y" & ap == "p"), sum(ap == "p"))), "23 and 15 of 24" = c(23, 24, 15, 24))
for (s in names(arms)) { x <- arms[[s]]
  for (p in c("difference", "ratio", "oddsratio")) { r <- binomMeld.test(x[3], x[4], x[1], x[2], parmtype = p, eps = 1e-15); put("exact2x2", paste("melded proportions,", p), s, x[1], x[2], x[3], x[4], c(r$conf.int, r$p.value)) }
  two <- exact2x2(matrix(c(x[1], x[2] - x[1], x[3], x[4] - x[3]), 2), tsmethod = "central"); put("exact2x2", "melded proportions, p and Fisher's", s, x[1], x[2], x[3], x[4], two$p.value) }
write.csv(do.call(rbind, rows), "counts.csv", row.names = FALSE, quote = c(2, 3))
