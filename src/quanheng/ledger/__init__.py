"""WHERE VALUE MOVES: accounts, transfers of value between two of them, and what is built from such transfers."""
