"""Policies in other forms: Excel workbooks there and back, and models of GoRules (JDM) to DMN."""
