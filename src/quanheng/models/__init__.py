"""Models: trained offline on point-in-time vectors, served as compiled trees, described by a card."""
