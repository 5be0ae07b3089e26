# Writes tests/tables/sas7bdat/*.sas7bdat.gz with haven 2.5.1 (ReadStat), R 4.2.2: SAS data files of a small study and an odd table.
#
# The study's domains come as CSV from our own SDTM writer:
#   python -c 'from ahsct import check, read_study; from ahsct.tables.sdtm_export import sdtm_shape
#   for name, frame in sdtm_shape(check(read_study("tests/tables/three"))).items(): frame.write_csv(f"CSV/{name.lower()}.csv")'
#   Rscript tests/reference/sas7bdat.R CSV tests/tables/sas7bdat
library(haven)
arguments <- commandArgs(trailingOnly = TRUE)
from <- arguments[1]
to <- arguments[2]

write_packed <- function(frame, name) {
  plain <- tempfile(fileext = ".sas7bdat")
  write_sas(frame, plain)
  bytes <- readBin(plain, "raw", file.size(plain))
  packed <- gzfile(file.path(to, paste0(name, ".sas7bdat.gz")), "wb", compression = 9)
  writeBin(bytes, packed)
  close(packed)
}

is_number <- "(SEQ|STRESN|DOSE|STNRLO|STNRHI|DY)$|^AGE$|^PRGRPID$"
for (path in sort(list.files(from, "\\.csv$", full.names = TRUE))) {
  names <- strsplit(readLines(path, 1), ",")[[1]]
  classes <- ifelse(grepl(is_number, names), "numeric", "character")
  frame <- read.csv(path, colClasses = classes, na.strings = "", encoding = "UTF-8")
  frame[] <- lapply(frame, function(x) if (is.character(x)) ifelse(is.na(x), "", x) else x)
  write_packed(frame, sub("\\.csv$", "", basename(path)))
}

# every trap of the format in four rows: labels, missing codes .A and .Z beside plain missing, dates, text beyond ASCII
odd <- data.frame(
  USUBJID = c("Zo\u00eb", "\u00c5sa", "\u65e5\u672c", ""),
  AVAL = tagged_na("A", "Z", NA, NA),
  ZERO = c(0, -0.1, 1e-300, NA),
  ADT = as.Date(c("1960-01-01", "1959-12-31", "2024-02-29", NA)),
  NOTE = c(strrep("x", 300), "a,b;\"c\"", " ", "")
)
odd$AVAL[4] <- 2.5
attr(odd$AVAL, "label") <- "Valeur d'analyse \u00e0 jour"
attr(odd$ADT, "label") <- "Analysis Date"
write_packed(odd, "odd")
write_packed(odd[0, ], "empty")
