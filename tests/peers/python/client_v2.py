"""The client of the Python SDK's 2.x line against our servers: `client_v2.py URL` logs in, calls a tool, steps up,
calls another, and refreshes; `client_v2.py URL legacy` does it in the protocol of 2025-11-25, and `client_v2.py URL
foreign` at a server whose authorization server is not ours, without the refresh.

| what the servers meet here                                                              | whose |
|-----------------------------------------------------------------------------------------|-------|
| registers without a method, so for Basic; native, with the scope of the challenge       | SDK   |
| Basic, and `client_id` in the body too                                                  | SDK   |
| a verifier of 128 characters                                                            | SDK   |
| asks for the scope of the challenge; `resource` in both requests                        | SDK   |
| `iss` and `state` are compared                                                          | SDK   |
| login and step-up happen inside the call: the host only answers two questions           | SDK   |
| a 403 asks for the union                                                                | SDK   |
| refreshes by its own clock; a 401 to a token that it holds alive leads to a new login   | SDK   |
| a session's end is answered with 202 by rmcp: complains, and goes on                    | SDK   |
"""

import asyncio
import sys

from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import AuthorizationCodeResult

from host import METADATA, Browser, Memory, Refusals, die

CONTENT = {"name": "v2.txt", "content": "abc"}


async def main(url: str, mode: str = "auto") -> None:
    browser, memory = Browser(), Memory()
    era = "legacy" if mode == "legacy" else "auto"

    async def callback() -> AuthorizationCodeResult:
        return AuthorizationCodeResult.model_validate(browser.back)

    auth = OAuthClientProvider(url, METADATA, memory, browser.visit, callback)
    async with (
        create_mcp_http_client(auth=auth) as http,
        Client(streamable_http_client(url, http_client=http), mode=era) as client,
    ):
        refusals = Refusals(http)

        async def call(tool: str, arguments: dict[str, str]) -> str:
            return str((await client.call_tool(tool, arguments)).content)

        version = "2025-11-25" if mode == "legacy" else "2026-07-28"
        assert client.session.protocol_version == version
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
