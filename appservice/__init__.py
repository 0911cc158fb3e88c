"""The Matrix side: registration, durable inbox, the bot's encrypted device, rooms, widgets and commands."""
