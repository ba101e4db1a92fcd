"""Receivable tokens of supply-chain finance: a debtor's accepted debt, in pieces that pass from holder to holder."""
