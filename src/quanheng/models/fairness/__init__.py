"""Whether groups of people are treated alike: approvals, errors, calibration, and models that do it better."""
