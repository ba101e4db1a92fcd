"""Events of the platform itself that packs may decide and fold without declaring them, in the form of a pack's own."""
