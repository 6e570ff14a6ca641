"""Verdicts to text and JSON, and the exit code."""
