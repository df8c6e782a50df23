"""Two models side by side: duels, the votes on them, and what the votes say."""
