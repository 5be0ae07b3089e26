# Signed-rank tests exact with ties and zeros (coin), permutation test of the mean (exactRankTests), sign test (binom.test);
# the interval that inverts the permutation test by brute force over all 2^n subsets, where n <= 20.
# Run: Rscript paired_change.R  (writes paired_change.csv and the data sets beside it)
suppressMessages({library(coin); library(exactRankTests); library(MASS); library(ordinal)})
out <- NULL
keep <- function(case, name, value)
  out <<- rbind(out, data.frame(case = case, name = name, value = format(as.numeric(value), digits = 16)))
write_data <- function(name, d) write.csv(d, paste0(name, ".csv"), row.names = FALSE, quote = FALSE)
record <- function(case, before, after, scores = NULL) {
  write_data(paste0("paired_", case), data.frame(group = seq_along(before), before = before, after = after))
  d <- round(after - before, 9)
  for (z in c("Pratt", "Wilcoxon"))
    keep(case, paste0("p_", tolower(z)), pvalue(wilcoxsign_test(d ~ none, data = data.frame(d, none = 0), distribution = exact(), zero.method = z)))
  if (any(d != 0)) keep(case, "p_wilcox_exact", wilcox.exact(d, exact = TRUE)$p.value)
  if (!is.null(scores)) keep(case, "p_permutation", perm.test(as.integer(round(d * scores)), exact = TRUE)$p.value)
  keep(case, "p_sign", binom.test(sum(d < 0), sum(d != 0))$p.value)
  n <- length(d)
  if (n <= 20) {
    s <- numeric(0); k <- integer(0); s <- 0; k <- 0
    for (x in d) { s <- c(s, s + x); k <- c(k, k + 1) }
    m <- sort(s[k > 0] / k[k > 0]); p <- (1 + seq_along(m)) / 2^n  # one-sided p at a shift just above m[i]
    keep(case, "lower", m[which(p > 0.025 + 1e-12)[1]]); keep(case, "upper", rev(m)[which(p > 0.025 + 1e-12)[1]])
    keep(case, "p_all_subsets", mean(abs(sum(d) - 2 * s) >= abs(sum(d)) - 1e-9))
  }
}
record("sleep", sleep$extra[sleep$group == 1], sleep$extra[sleep$group == 2], 10)                  # one zero
w <- aggregate(as.integer(rating) ~ judge + temp, wine, sum); names(w)[3] <- "r"                    # ordered ratings, ties
record("wine", w$r[w$temp == "cold"], w$r[w$temp == "warm"], 1)
record("immer", immer$Y1, immer$Y2, 10)                                                             # 30 plots
record("anorexia", anorexia$Prewt, anorexia$Postwt, 10)                                             # 72 patients
# EDSS before and after in 20 patients: many zeros, many ties
record("edss", c(6, 5.5, 4, 3.5, 6.5, 2, 3, 4.5, 5, 6, 3, 2.5, 4, 6, 5.5, 3.5, 2, 1.5, 6, 4),
       c(5.5, 5.5, 3, 3.5, 6.5, 2.5, 2, 4.5, 4, 6, 3, 2.5, 3.5, 6.5, 5.5, 2, 2, 2, 5.5, 4), 2)
header <- paste("# made by paired_change.R with", R.version.string, "coin", packageVersion("coin"), "exactRankTests", packageVersion("exactRankTests"))
writeLines(c(header, "case,name,value", paste(out$case, out$name, trimws(out$value), sep = ",")), "paired_change.csv")
