"""The book's compiled code: one loan is a row of words; the same functions run live, in recovery and in a replay."""
