"""A web page on which a person describes objects instead of painting them, and what stands behind it."""
