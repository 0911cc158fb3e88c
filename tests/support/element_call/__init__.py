"""Unmodified Element Call in real browsers, on a real Matrix client, with a real Synapse and a real Palabre behind it.

`chromium` is a browser process, `pages` serves the host page and Element Call, `home` is a homeserver with its switches
for calls and perhaps a Palabre, `caller` is a person, `stage` puts them together for tests.
"""
