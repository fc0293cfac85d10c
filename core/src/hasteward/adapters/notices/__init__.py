"""The observers that come with core: programs of the user's, and URLs that are told."""
