"""The papers, one folder each; a paper imports `shared` and itself, never another paper."""
