"""The three families of error: the caller's fault, the peer's fault, and ours.

* `CallerError`: somebody asked for something they can't have. They get a code and a sentence.
* `PeerError`: a remote machine sent something that breaks a protocol. It is dropped and counted.
* everything else is our fault: it is logged, and the task that hit it ends, not the service.
"""

from __future__ import annotations


class CallerError(Exception):
    """A request that is refused, with what to tell whoever sent it.

    `code` is stable and machine-readable (`not_in_room`), `status` the HTTP status, and
    the message a sentence in English that says what is wrong and what to do. Pages translate `code`
    through the catalogue (`error.<code>`) with `params`.
    """

    def __init__(self, code: str, sentence: str, *, status: int = 400, **params: str | int) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.status = status
        self.params = params


class PeerError(ValueError):
    """Bytes or a document from another machine that break their protocol. Drop it and count it.

    `reason` is for those who are shown why: a code where the catalogues have a sentence for it (`why.<code>`), the
    text of the error, in English, otherwise.
    """

    def __init__(self, text: str = "", *, code: str = "") -> None:
        super().__init__(text)
        self.reason = code or text
