"""Folds as SQL, through Ibis (extra `offline`): the same definitions on DuckDB and Spark, with the kernel's answers."""
