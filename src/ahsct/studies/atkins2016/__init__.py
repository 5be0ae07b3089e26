"""The 2016 trial, reconstructed from its published totals: these patients are not real people."""
