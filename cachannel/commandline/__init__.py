"""Commands with the options and the output of caproto's, as ``python -m`` programs."""
