"""The same through openai's asynchronous client, as its documentation shows it, with a semaphore for the limit."""

from __future__ import annotations

import asyncio
import base64

from openai import AsyncOpenAI

from .problem import IN_FLIGHT, Problem


def ask(problem: Problem) -> list[str]:
    return asyncio.run(_ask(problem))


async def _ask(problem: Problem) -> list[str]:
    limit = asyncio.Semaphore(IN_FLIGHT)
    async with AsyncOpenAI(base_url=problem.url, api_key="none", max_retries=0) as client:

        async def one(i: int, text: str) -> str:
            async with limit:
                picture = base64.b64encode(problem.image_of(i)).decode()
                content = [
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}},
                    {"type": "text", "text": text},
                ]
                reply = await client.chat.completions.create(
                    model="tiny", messages=[{"role": "user", "content": content}], max_tokens=512, temperature=0.0
                )
                return reply.choices[0].message.content

        return await asyncio.gather(*(one(i, text) for i, text in enumerate(problem.questions)))
