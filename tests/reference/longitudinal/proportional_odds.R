# Cumulative logit models: ordinal::clm (gradient tolerance tightened) with nominal effects for the test of proportionality;
# marginal homogeneity: coin::mh_test.  Run: Rscript proportional_odds.R
suppressMessages({library(ordinal); library(MASS); library(coin)})
out <- NULL
keep <- function(case, name, value)
  out <<- rbind(out, data.frame(case = case, name = name, value = format(as.numeric(value), digits = 16)))
write_data <- function(name, d) write.csv(d, paste0(name, ".csv"), row.names = FALSE, quote = FALSE)
tight <- clm.control(gradTol = 1e-11, maxIter = 500, maxLineIter = 100)
record <- function(case, d, terms) {  # d: category 0.., columns named in terms, freq
  d$y <- factor(d$category, ordered = TRUE)
  fit <- clm(as.formula(paste("y ~", paste(terms, collapse = "+"))), data = d, weights = freq, control = tight)
  keep(case, "log_likelihood", logLik(fit))
  for (k in seq_along(fit$alpha)) keep(case, paste0("threshold_", k), fit$alpha[k])
  for (k in seq_along(fit$beta)) keep(case, paste0("estimate_", k), fit$beta[k])
  se <- sqrt(diag(vcov(fit))); for (k in seq_along(se)) keep(case, paste0("se_", k), se[k])
  for (k in seq_along(terms)) {
    rest <- setdiff(terms, terms[k])
    free <- tryCatch(clm(as.formula(paste("y ~", if (length(rest)) paste(rest, collapse = "+") else "1")), nominal = as.formula(paste("~", terms[k])),
                data = d, weights = freq, control = tight), error = function(e) NULL)
    if (!is.null(free) && free$convergence$code == 0) { keep(case, paste0("free_log_likelihood_", k), logLik(free)) }
  }
}
w <- data.frame(category = as.integer(wine$rating) - 1, warm = as.integer(wine$temp == "warm"), contact = as.integer(wine$contact == "yes"), freq = 1)
write_data("wine", w); record("wine", w, c("warm", "contact"))
h <- data.frame(category = as.integer(housing$Sat) - 1, medium = as.integer(housing$Infl == "Medium"), high = as.integer(housing$Infl == "High"),
                apartment = as.integer(housing$Type == "Apartment"), atrium = as.integer(housing$Type == "Atrium"), terrace = as.integer(housing$Type == "Terrace"),
                contact = as.integer(housing$Cont == "High"), freq = housing$Freq)
write_data("housing", h); record("housing", h, c("medium", "high", "apartment", "atrium", "terrace", "contact"))
s <- as.data.frame(table(category = as.integer(soup$SURENESS) - 1, test = as.integer(soup$PROD == "Test")))
s <- data.frame(category = as.integer(as.character(s$category)), test = as.integer(as.character(s$test)), freq = s$Freq)
write_data("soup", s); record("soup", s, "test")
mh <- function(case, before, after) { f <- factor(before, levels = sort(unique(c(before, after)))); g <- factor(after, levels = levels(f))
  t <- mh_test(as.table(table(f, g))); keep(case, "statistic", statistic(t)); keep(case, "p", pvalue(t)) }
for (name in c("edss", "wine")) { d <- read.csv(paste0("paired_", name, ".csv")); mh(paste0("margins_", name), d$before, d$after) }
anorexia_class <- function(x) cut(x, c(0, 80, 85, 90, 200), labels = FALSE)
d <- read.csv("paired_anorexia.csv"); mh("margins_anorexia", anorexia_class(d$before), anorexia_class(d$after))
header <- paste("# made by proportional_odds.R with", R.version.string, "ordinal", packageVersion("ordinal"), "coin", packageVersion("coin"), "MASS", packageVersion("MASS"))
writeLines(c(header, "case,name,value", paste(out$case, out$name, trimws(out$value), sep = ",")), "proportional_odds.csv")
