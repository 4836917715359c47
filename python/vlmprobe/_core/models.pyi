# The types of vlmprobe._core.models (bind_models.cpp). Rows are made and read by vlmprobe.models.native.

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import _Object

class EncodedImage(_Object):
    def __init__(self, data: str | bytes, media_type: str) -> None: ...
    @property
    def data(self) -> bytes: ...
    @property
    def media_type(self) -> str: ...
    @property
    def sha256(self) -> str: ...

def is_whole(finish_reason: str) -> bool: ...

class Model(_Object):
    @property
    def identity(self) -> str: ...
    def reply(
        self,
        requests: Sequence[
            tuple[
                Sequence[tuple[str | bytes, str | bytes, Sequence[EncodedImage]]],
                float,
                float,
                int,
                int | None,
                str,
                str,
                int,
            ]
        ],
    ) -> list[tuple[str, str, str, str, int, int, float, int, str, str, tuple[int, int, int]]]: ...

class PythonModel(Model):
    def __init__(
        self,
        identity: str,
        call: Callable[
            [
                Sequence[
                    tuple[
                        Sequence[tuple[str | bytes, str | bytes, Sequence[EncodedImage]]],
                        float,
                        float,
                        int,
                        int | None,
                        str,
                        str,
                        int,
                    ]
                ]
            ],
            list[tuple[str, str, str, str, int, int, float, int, str, str, tuple[int, int, int]]],
        ],
    ) -> None: ...

class ScriptedModel(Model):
    def __init__(self, replies: Mapping[str, str], identity: str) -> None: ...

class ChatOptions(_Object):
    def __init__(self, **kwargs: Any) -> None: ...

def has_chat_client() -> bool: ...
def check_endpoint(url: str | bytes, key: str | bytes) -> None: ...

class ChatClient(Model):
    def __init__(self, endpoints: Sequence[tuple[str, str]], options: ChatOptions) -> None: ...
    def reply(
        self,
        requests: Sequence[
            tuple[
                Sequence[tuple[str | bytes, str | bytes, Sequence[EncodedImage]]],
                float,
                float,
                int,
                int | None,
                str,
                str,
                int,
            ]
        ],
        arrived: Callable[
            [Sequence[tuple[int, tuple[str, str, str, str, int, int, float, int, str, str, tuple[int, int, int]]]]],
            None,
        ]
        | None = None,
    ) -> list[tuple[str, str, str, str, int, int, float, int, str, str, tuple[int, int, int]]]: ...
    def spent(self) -> tuple[int, int, int, float]: ...
    def take_events(self) -> list[tuple[float, str, str, int, int, str]]: ...
