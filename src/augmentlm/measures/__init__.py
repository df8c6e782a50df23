"""What a set of texts is like: embeddings, diversity and length, and shares with their intervals."""
