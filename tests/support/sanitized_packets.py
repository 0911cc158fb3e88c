"""A pytest plugin that puts the build of the compiled packet path at `PALABRE_PACKETS` in the place of the usual one.

`make sanitize-plane` runs the packet path's tests so, under the sanitizers.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.machinery import ExtensionFileLoader

import media.relay.plane

NAME = "media.relay.plane._packets"

_loader = ExtensionFileLoader(NAME, os.environ["PALABRE_PACKETS"])
_spec = importlib.util.spec_from_loader(NAME, _loader)
assert _spec is not None
_module = importlib.util.module_from_spec(_spec)
_loader.exec_module(_module)
sys.modules[NAME] = vars(media.relay.plane)["_packets"] = _module
