"""One whole meeting with no one at the keyboard, on a real homeserver that this package starts and stops."""
