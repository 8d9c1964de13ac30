"""WildHands: both hands from a picture and a crop of each, told where the crops are."""
