"""What a decision changed: arms of a randomised experiment compared, with what chance alone would show."""
