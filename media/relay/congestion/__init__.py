"""How much video a subscriber's line carries, and what it is spent on. Pure: feedback and times in, layers out."""
