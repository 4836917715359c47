"""What the tests of the chat client share: quick clients and short questions."""

from __future__ import annotations

import pytest

from vlmprobe._native import core
from vlmprobe.models.chat import ChatClient, Endpoint
from vlmprobe.models.model import Message, Request

needs_chat_client = pytest.mark.skipif(
    not core.models.has_chat_client(), reason="libcurl is missing: apt-get install libcurl4-openssl-dev"
)


def ask(text: str, **more) -> Request:
    return Request(messages=[Message(role="user", text=text)], **more)


def client(url: str | list[str | Endpoint], **options) -> ChatClient:
    quick = {"attempt_timeout_s": 0.6, "deadline_s": 30.0, "first_pause_s": 0.01, "max_response_bytes": 1 << 20}
    return ChatClient(url, model="tiny", **quick | options)
