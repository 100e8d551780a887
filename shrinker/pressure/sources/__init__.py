"""Who says that memory is short."""
