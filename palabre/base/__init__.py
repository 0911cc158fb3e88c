"""What every package needs and nothing of the domain: clock, ids, errors, tasks, HTTP, database, logs, words."""
