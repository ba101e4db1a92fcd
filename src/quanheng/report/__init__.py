"""Pages that reports are shown on: their look, parts and charts. Each page is one file, without network or library."""
