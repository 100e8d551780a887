"""Recordings of real machines that ship with the package."""
