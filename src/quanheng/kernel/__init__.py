"""Money, time, ids, errors, the log and its proofs. Imports nothing of ours."""
