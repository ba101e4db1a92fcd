"""The one numba kernel of features: arena, rings, boundaries. Generic over the tables of a plan; compiles once."""
