"""The MCP client of PyPI: it logs in, calls tools, and prints what happens.

    mcp_client.py SERVER_URL STATE_FILE STEP...

A step is the name of a tool, or `refresh`, after which the access token counts as expired. The user opens what is printed after
`open`; the client listens at its redirect URI.
"""

import json
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

ARGUMENTS = {"whoami": {}, "add": {"a": 2, "b": 3}}


def say(*words):
    print(*words, flush=True)


class State:
    """Tokens and client, kept in a file."""

    def __init__(self, path):
        self.path = Path(path)

    def read(self, name, model):
        saved = json.loads(self.path.read_text()) if self.path.exists() else {}
        return model.model_validate(saved[name]) if name in saved else None

    def write(self, name, value):
        saved = json.loads(self.path.read_text()) if self.path.exists() else {}
        saved[name] = value.model_dump(mode="json", exclude_none=True)
        self.path.write_text(json.dumps(saved))

    async def get_tokens(self):
        return self.read("tokens", OAuthToken)

    async def set_tokens(self, tokens):
        self.write("tokens", tokens)

    async def get_client_info(self):
        return self.read("client", OAuthClientInformationFull)

    async def set_client_info(self, client):
        self.write("client", client)


class Callback:
    """The redirect URI of the client, on a free port."""

    def __init__(self, listener):
        self.listener = listener
        self.responses, self.received = anyio.create_memory_object_stream(1)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        self.uri = f"http://127.0.0.1:{port}/callback"

    async def handle(self, stream):
        async with stream:
            head = (await stream.receive()).decode()
            await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nDone")
        await self.responses.send(parse_qs(urlsplit(head.split(" ")[1]).query))

    async def wait(self):
        sent = await self.received.receive()
        one = lambda name: sent.get(name, [None])[0]
        if one("error"):
            say("callback", one("error"))
        return AuthorizationCodeResult(code=one("code") or "", state=one("state"), iss=one("iss"))


async def main(url, state, *steps):
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    callback = Callback(listener.listeners[0])

    async def open_page(page):
        say("open", page)

    async def log(response):
        say("http", response.request.method, response.request.url.path, response.status_code)

    provider = OAuthClientProvider(
        server_url=url,
        client_metadata=OAuthClientMetadata(client_name="Python client", redirect_uris=[callback.uri]),
        storage=State(state),
        redirect_handler=open_page,
        callback_handler=callback.wait,
    )

    async def call():
        hooks = {"response": [log]}
        async with (
            httpx2.AsyncClient(auth=provider, event_hooks=hooks, timeout=30) as http,
            streamable_http_client(url, http_client=http) as (read, write),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            say("tools", *[tool.name for tool in (await session.list_tools()).tools])
            for step in steps:
                if step == "refresh":
                    provider.context.token_expiry_time = time.time() - 1
                    continue
                result = await session.call_tool(step, ARGUMENTS[step])
                say("failed" if result.is_error else "result", step, result.content[0].text)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, callback.handle)
            try:
                await call()
            except BaseException as error:
                while isinstance(error, BaseExceptionGroup):
                    error = error.exceptions[0]
                say("refused", type(error).__name__, str(error).replace("\n", " "))
            tasks.cancel_scope.cancel()


anyio.run(main, *sys.argv[1:])
