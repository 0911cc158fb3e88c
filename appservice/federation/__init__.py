"""Other homeservers: how they are found and asked, which of them may come in, and what was last seen of each."""
