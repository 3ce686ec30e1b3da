"""What a host of either line of the Python SDK brings: a place for credentials, and a browser, here a scripted one."""

import asyncio
import re
from html import unescape
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from mcp.client.auth import TokenStorage
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

REDIRECT_URI = "http://127.0.0.1:3118/callback"
METADATA = OAuthClientMetadata(
    client_name="Interop",
    redirect_uris=[REDIRECT_URI],
    grant_types=["authorization_code", "refresh_token"],
    response_types=["code"],
)
FIELD = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


class Memory(TokenStorage):
    """Keeps what the SDK hands over, and does not look into it."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client_info: OAuthClientInformationFull | None = None
        self.saves = 0

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens
        self.saves += 1

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client_info

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client_info = client_info

    def scopes(self) -> list[str]:
        return sorted(((self.tokens and self.tokens.scope) or "").split())


class Browser:
    """Opens our consent page, presses "Allow", and keeps the parameters that it is sent back with."""

    def __init__(self) -> None:
        self.visits = 0
        self.back: dict[str, str] = {}

    async def visit(self, url: str) -> None:
        self.visits += 1
        page, html = send("GET", url)
        assert page.status == 200, html
        form = {name: unescape(value) for name, value in FIELD.findall(html)} | {"decision": "allow"}
        action = re.search(r'<form method="post" action="([^"]*)">', html)
        assert action is not None, html
        headers = {
            "Cookie": (page.getheader("Set-Cookie") or "").split(";")[0],
            "Content-Type": "application/x-www-form-urlencoded",
        }
        answer, html = send("POST", urljoin(url, action.group(1)), urlencode(form), headers)
        assert answer.status == 303, html
        location = answer.getheader("Location") or ""
        assert location.startswith(f"{REDIRECT_URI}?"), location
        pairs = parse_qsl(urlsplit(location).query, strict_parsing=True)
        self.back = dict(pairs)
        assert len(self.back) == len(pairs), location


async def die(url: str, memory: Memory) -> None:
    """Waits until the token that is kept is dead, by the clock of the SDK too."""
    assert memory.tokens is not None and memory.tokens.expires_in is not None
    headers = {
        "Authorization": f"Bearer {memory.tokens.access_token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    await asyncio.sleep(memory.tokens.expires_in)
    answer, _ = send("POST", url, '{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}', headers)
    assert answer.status == 401, answer.status


def send(
    method: str, url: str, body: str | None = None, headers: dict[str, str] | None = None
) -> tuple[HTTPResponse, str]:
    """One request on a connection of its own; redirects are not followed."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body, headers or {})
        response = connection.getresponse()
        return response, response.read().decode()
    finally:
        connection.close()
