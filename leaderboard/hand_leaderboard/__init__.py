"""Reports and the leaderboard's site, made from what the core computes."""
