"""The client for programs with threads."""
