"""The starter pack: copied, with its name filled in, by `quanheng pack new`."""
