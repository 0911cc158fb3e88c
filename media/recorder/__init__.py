"""From tapped packets to a film: journals while people talk, composition afterwards, in a process of its own.

Times that cross this seam are seconds since the Unix epoch (`…_at`) or seconds in the film (`start`, `end`). The film's
zero is the `started_at` of its job: the moment the first person had agreed. Files are sealed (`palabre.base.sealed`);
keys are passed beside jobs, never inside, so that a job can be stored and logged.

*While people talk*, in the service's process (`capture.py`)::

    CallCapture(directory: Path, key: bytes, clock: Clock, *, on_error: Callable[[CaptureError], None])
        .track(*, identity: str, user: str, name: str, track_sid: str, kind: str, source: str) -> TrackJournal
        .event(kind: str, **fields: str | float | bool) -> None
        .close() -> None
    list_unfinished(root: Path) -> tuple[Path, ...]

`user` names a person whatever their device, for instance by a Matrix user id. `TrackJournal` is a `TapSink` of the
relay by its shape; `source` is LiveKit's: camera, microphone, screen_share, screen_share_audio. Events that composition
understands: `joined` (identity, user, name) and `left` (identity), only for people who agreed and only needed where
somebody has no track; `cut` (identity, from, to, in seconds since the epoch), which takes that person out; `unreadable`
(identity, user, name, start, end): what they sent could not be decrypted. `on_error` is called from the writer's
thread, once per fault; the call goes on.
`close` waits for the disk: use a thread. A directory that exists is continued in a new segment.

*Afterwards*, in a worker process (`reader.py`, `audio.py`, `render.py`, `limits.py`)::

    worker_limits(most_memory: int = MOST_MEMORY) -> None
    open_capture(directory: Path, key: bytes) -> Capture
        .people: tuple[Person, ...]     Person(identity, user, name)
        .tracks: tuple[TrackInfo, ...]
        .started_at: float, .ended_at: float, .interrupted: bool     (an interrupted one ends where writing did)
        .gaps: tuple[tuple[float, float], ...]                       (the process died and another one went on)
    read_pcm(capture: Capture, identity: str, *, started_at: float, rate: int = 16000)
        -> Iterator[tuple[float, NDArray[float32]]]     (start in seconds, mono block of at most one second)
    RenderJob(capture, output, started_at, ended_at=None, title="", height=720, frames_per_second=15,
              video_codec="h264", max_bytes=0, max_parts=8, not_recorded=(), cuts=(),
              gap_text="", notices=())
        .to_json() -> str, RenderJob.from_json(text) -> RenderJob
    render(job, *, capture_key: bytes, output_key: bytes, progress: Callable[[float], None] | None = None,
           transform: Transform | None = None) -> RenderResult
    RenderResult(parts, poster, width, height, started_at, duration, people, not_recorded, interrupted, warnings, gaps,
                 closing, unreadable)
        .to_json() -> str, RenderResult.from_json(text)
        parts: tuple[FilmPart(path, size, start, duration), ...]     sealed MP4s, several only above max_bytes
        poster: Poster(path, width, height)                          sealed JPEG
        people: tuple[FilmPerson(identity, user, name, seconds), ...]

`Transform` is a function of (TrackInfo, EncodedFrame) that returns the frame to decode, or None to leave it out: where
end-to-end decryption sits. `read_pcm` takes one too.

Refusals are `RecordingError`s (a `CallerError`): `recording_empty`, `recording_too_large`, `recording_unreadable`.
"""
