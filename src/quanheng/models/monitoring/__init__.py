"""What becomes of a model after it was built: scores, inputs, power and calibration against those of its training."""
