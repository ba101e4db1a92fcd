"""The compiled code of revolving credit: one account is a row of words; the same functions run live and in a replay."""
