"""Where a table that nobody prepared is read: files, types of columns, codes, the target, and what is suspicious."""
