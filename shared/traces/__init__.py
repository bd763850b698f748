"""Where a fact is held: causal tracing, severed runs, integrated gradients."""
