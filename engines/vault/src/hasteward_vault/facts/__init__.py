"""Facts out of texts and objects. Pure."""
