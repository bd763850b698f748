"""A language model by its parts: loading it, finding what it consists of, running it from any layer to any other."""
