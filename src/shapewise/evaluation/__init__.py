"""Metrics on hard masks, prediction, descriptor values, biomarkers and tables."""
