"""One checker per kind of file: each reads its files, notes every problem and returns what is declared."""
