"""Whether what is served still looks like what was known: profiles of columns and how far two of them are apart."""
