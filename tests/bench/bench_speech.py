"""What recognising speech costs here, and how well a model does it: a table of the demonstration's clips.

    .venv/bin/python -m tests.bench.bench_speech                         the bundled model
    .venv/bin/python -m tests.bench.bench_speech --model small --threads 4

`cost` is processor time per second of sound, `time` the clock's, both without loading the model.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import time
from collections import defaultdict

import structlog

from media.speech.job import SpeechTrack, transcribe_tracks
from media.speech.settings import SpeechSettings
from media.speech.sound import RATE
from media.speech.transcript import CallFacts
from media.speech.whisper import load_recogniser
from tests.support.speech import CLIPS, blocks, clip
from tests.support.wer import word_errors

FACTS = CallFacts("", 0.0, 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = SpeechSettings()
    parser.add_argument("--model", default=defaults.model)
    parser.add_argument("--threads", type=int, default=defaults.threads)
    parser.add_argument("--beam-size", type=int, default=defaults.beam_size)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    settings = SpeechSettings(model=given.model, threads=given.threads, beam_size=given.beam_size)
    began = time.perf_counter()
    recogniser = load_recogniser(settings)
    print(f"{settings.model or 'bundled model'}, {settings.threads} threads, beam {settings.beam_size}; ", end="")
    print(f"loaded in {time.perf_counter() - began:.1f} s\n")
    first = clip("sr_english").samples
    recogniser.transcribe(first, "en")  # the first one also sets up tables
    print("| clip | seconds | time | cost | language | wrong words |\n|---|---|---|---|---|---|")
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for entry in json.loads((CLIPS / "MANIFEST.json").read_text(encoding="utf-8")):
        heard = clip(entry["file"].removesuffix(".flac"))
        wall, busy = time.perf_counter(), time.process_time()
        track = SpeechTrack("@a:a", "A", blocks((0.0, heard.samples)))
        transcript = transcribe_tracks([track], FACTS, settings, recogniser=recogniser)
        wall, busy = time.perf_counter() - wall, time.process_time() - busy
        seconds = len(heard.samples) / RATE
        row = [heard.name, f"{seconds:.1f}", f"{wall / seconds:.3f}", f"{busy / seconds:.3f}"]
        wrong = "–"
        if heard.text:
            errors, words = word_errors(heard.text, " ".join(line.text for line in transcript.lines), heard.language)
            wrong = f"{errors} of {words} ({errors / words:.0%})"
            totals[heard.language][0] += errors
            totals[heard.language][1] += words
        print("| " + " | ".join([*row, ", ".join(transcript.languages), wrong]) + " |")
    for language, (errors, words) in totals.items():
        print(f"\n{language}: {errors / words:.1%} of {words} words are wrong")
    print(f"\nlargest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
