"""Media: the relay, the recorder and speech, three packages that know nothing of each other."""
