"""Boosting: gradient-boosted trees and explainable boosting fitted on a table, explained exactly, served compiled."""
