"""Configuration to objects: the only place where an experiment's words become cases, networks and losses."""
