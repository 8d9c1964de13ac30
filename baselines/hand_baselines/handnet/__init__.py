"""HandNet: WildHands that is not told where its crops are."""
