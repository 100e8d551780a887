"""Walks beside other busy Python threads: who waits for whom."""
