"""The small core that every paper uses; it imports no paper."""
