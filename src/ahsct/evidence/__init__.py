"""Published results as data, and what they say together."""
