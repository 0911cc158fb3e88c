"""From sound to text: voice activity, recognition, transcripts."""
