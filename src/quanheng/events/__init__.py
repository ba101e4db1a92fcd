"""WHERE AN EVENT ENTERS: the schema of each event type, and intake, which every way in goes through."""
