"""CustomResourceDefinitions: served as resources, their objects checked against their schema."""
