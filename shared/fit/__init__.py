"""What editing methods compute with: keys, second moments, vectors and weights found by gradient descent."""
