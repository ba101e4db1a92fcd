"""Models as the registry knows them: their files in a pack's content, whether a card may be promoted, two compared."""
