"""The requests through vlmprobe's client."""

from __future__ import annotations

from vlmprobe.models.chat import ChatClient
from vlmprobe.models.model import EncodedImage, Message, Request

from .problem import IN_FLIGHT, Problem


def ask(problem: Problem) -> list[str]:
    """The images are wrapped, hashed and encoded inside the time."""
    client = ChatClient(problem.url, model="tiny", first_limit=IN_FLIGHT, max_limit=IN_FLIGHT)
    images = [EncodedImage(data=data) for data in problem.images]
    per_image = len(problem.questions) // len(images)
    requests = [
        Request(messages=[Message(role="user", text=text, images=[images[i // per_image]])])
        for i, text in enumerate(problem.questions)
    ]
    return [reply.text for reply in client.reply(requests)]
