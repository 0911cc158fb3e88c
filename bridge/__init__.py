"""What crosses between calls and rooms: meetings, tokens, consent, artefacts and what is posted of them."""
