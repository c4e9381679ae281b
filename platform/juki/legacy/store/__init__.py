"""移行の保管: the ledger of runs, chunks by COPY, what is read back, the work list. One chunk is one transaction."""
