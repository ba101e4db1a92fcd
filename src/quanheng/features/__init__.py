"""Where features are computed: folds and windows over the log, one kernel for live and backfill."""
