"""Raw files, the records in them, and what is asked about each."""
