"""The client of the Python SDK's 1.x line against our servers: `client_v1.py URL` logs in, calls a tool, steps up,
calls another, and refreshes; `client_v1.py URL foreign` does it at a server whose authorization server is not ours,
without the refresh.

| what the servers meet here                                                              | whose |
|-----------------------------------------------------------------------------------------|-------|
| registers without a method, so for Basic, and without an application type               | SDK   |
| Basic, and `client_id` in the body too                                                  | SDK   |
| a verifier of 128 characters                                                            | SDK   |
| asks for the scope of the challenge; `resource` in both requests                        | SDK   |
| does not look at `iss`; `state` is compared                                             | SDK   |
| login and step-up happen inside the call: the host only answers two questions           | SDK   |
| the step-up asks for the scope of the challenge alone: ours names all that is needed    | SDK   |
| refreshes by its own clock; a 401 to a token that it holds alive leads to a new login   | SDK   |
| a session's end is answered with 202 by rmcp: complains, and goes on                    | SDK   |
"""

import asyncio
import sys

from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from host import METADATA, Browser, Memory, Refusals, die

CONTENT = {"name": "v1.txt", "content": "abc"}


async def main(url: str, mode: str = "") -> None:
    browser, memory = Browser(), Memory()

    async def callback() -> tuple[str, str | None]:
        return browser.back["code"], browser.back.get("state")

    auth = OAuthClientProvider(url, METADATA, memory, browser.visit, callback)
    async with (
        create_mcp_http_client(auth=auth) as http,
        streamable_http_client(url, http_client=http) as (read, write, _),
        ClientSession(read, write) as client,
    ):
        refusals = Refusals(http)

        async def call(tool: str, arguments: dict[str, str]) -> str:
            return str((await client.call_tool(tool, arguments)).content)

        await client.initialize()
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert tools == {"list-files", "write-file"}, tools
        assert "readme" in await call("list-files", {})
        refusals.are(0)
        assert browser.visits == 1
        assert memory.scopes() == ["files:read"], "no step-up to test"
        print("login      list-files answered after one visit")

        assert "3 bytes" in await call("write-file", CONTENT)
        refusals.are(1, "files:read files:write")
        assert browser.visits == 2
        assert memory.scopes() == ["files:read", "files:write"]
        print("step-up    write-file answered after one more visit")
        if mode == "foreign":
            return

        saves = memory.saves
        await die(url, memory)
        assert "3 bytes" in await call("write-file", CONTENT)
        assert (browser.visits, memory.saves) == (2, saves + 1)
        print("refresh    write-file answered with a new token and no visit")


asyncio.run(main(*sys.argv[1:]))
