"""A model that counts its calls."""

from vlmprobe.models.model import EncodedImage, Message, ModelReply, Request, Status, Usage


class Counting:
    """Answers with the number of the call, or with what `script` has for the text."""

    identity = "counting@1"

    def __init__(self, **script):
        self.script, self.asked = script, []

    def reply(self, requests):
        self.asked.extend(request.messages[-1].text for request in requests)
        return [self._reply(request.messages[-1].text, i) for i, request in enumerate(requests)]

    def _reply(self, text, i):
        status = self.script.get(text, Status.OK)
        said = f"answer {len(self.asked)}.{i} to {text}" if status is Status.OK else ""
        return ModelReply(status=status, text=said, usage=Usage(prompt_tokens=7, completion_tokens=3), latency_s=0.5)


def ask(text="why", *, image=b"png", role="user", **more):
    return Request(messages=[Message(role=role, text=text, images=[EncodedImage(data=image)])], **more)
