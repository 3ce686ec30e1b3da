"""What a host of either line of the Python SDK brings: a place for credentials, and a browser, here a scripted one."""

import asyncio
import re
from html import unescape
from http.client import HTTPConnection, HTTPResponse
from typing import Any
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
# Pages and redirects of one visit.
MAX_HOPS = 20
FIELD = re.compile(r'<input[^>]* type="(?:hidden|text|password)" name="([^"]*)"([^>]*)>')
BUTTON = re.compile(r'<button[^>]* name="([^"]*)" value="([^"]*)"')


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
    """Agrees to everything: follows redirects, keeps cookies, submits the form of each page, and keeps the parameters
    that it is sent back with."""

    def __init__(self) -> None:
        self.visits = 0
        self.back: dict[str, str] = {}
        self.cookies: dict[str, str] = {}

    async def visit(self, url: str) -> None:
        self.visits += 1
        location = self.agree(url)
        pairs = parse_qsl(urlsplit(location).query, strict_parsing=True)
        self.back = dict(pairs)
        assert len(self.back) == len(pairs), location

    def agree(self, url: str) -> str:
        form = None
        for _ in range(MAX_HOPS):
            shown = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            headers = {"Cookie": shown, "Content-Type": "application/x-www-form-urlencoded"}
            answer, html = send("GET" if form is None else "POST", url, form, headers)
            for line in answer.headers.get_all("Set-Cookie", []):
                name, _, value = line.split(";")[0].partition("=")
                self.cookies[name] = value
            location = answer.getheader("Location")
            if location is None:
                assert answer.status == 200, html
                url, form = submission(html, url)
                continue
            url, form = urljoin(url, location), None
            if url.startswith(f"{REDIRECT_URI}?"):
                return url
        raise AssertionError(f"no end after {MAX_HOPS} pages")


def submission(html: str, url: str) -> tuple[str, str]:
    """What a user who agrees sends: a word in each empty field, and the last button, which says yes."""
    action = re.search(r'<form[^>]* action="([^"]*)"', html)
    assert action is not None, f"no form at {url}: {html}"
    form: dict[str, str] = {}
    for name, rest in FIELD.findall(html):
        value = re.search(r' value="([^"]+)"', rest)
        form[name] = unescape(value.group(1)) if value else "somebody"
    form.update(BUTTON.findall(html)[-1:])
    return urljoin(url, unescape(action.group(1))), urlencode(form)


class Refusals:
    """The SDK's way in, where every answer passes: what the challenge of each 403 said."""

    def __init__(self, http: Any) -> None:
        self.challenges: list[str] = []
        http.event_hooks = {"response": [self.see]}

    async def see(self, response: Any) -> None:
        if response.status_code == 403:
            self.challenges.append(response.headers.get("WWW-Authenticate", ""))

    def are(self, times: int, scope: str = "") -> None:
        """How many calls were refused, all of them because they need these scopes."""
        assert len(self.challenges) == times, self.challenges
        for challenge in self.challenges:
            assert challenge.startswith('Bearer error="insufficient_scope"'), challenge
            assert f'scope="{scope}"' in challenge, challenge


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
