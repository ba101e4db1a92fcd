"""The packs that ship with Quanheng: one folder of declarations each."""
