"""Where a model is measured on rows it was not fitted on: splits, out-of-fold scores, intervals, bands."""
