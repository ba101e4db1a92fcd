"""Training sets: what a live decision would have known at each moment of a spine, from a history of any size."""
