"""The Python SDK as a peer of our client: its authorization server's routes, and a resource behind its
`RequireAuthMiddleware`. Prints `MCP <url>` when both listen. Put together as the SDK's example `simple-auth`
does it; what `Provider` does is ours: codes and tokens in memory, and one login page.

| what the client meets here                                                            | whose    |
|---------------------------------------------------------------------------------------|----------|
| issuer with a trailing slash, in both documents, because it passes through a URL type | SDK      |
| no `iss` on redirects, and none advertised                                            | SDK      |
| every client gets a secret; Basic is advertised, but `client_id` must be in the body  | SDK      |
| a client may ask for no scope that it, or the server for it, did not register         | SDK      |
| redirect URIs are compared with their port, on loopback too                           | SDK      |
| a 401 names no scope and says `invalid_token` although no token was sent              | SDK      |
| the resource lists only the scope that every request needs                            | SDK      |
| no challenge for one operation: that 403 is ours, because the SDK's own has no scope  | resource |
| refresh tokens rotate, and a used one is unknown                                      | Provider |
"""

import asyncio
import logging
import secrets
import socket
import sys
import time
from collections.abc import Sequence
from html import escape

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware, get_access_token
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    OAuthAuthorizationServerProvider,
    ProviderTokenVerifier,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.routes import (
    build_resource_metadata_url,
    create_auth_routes,
    create_protected_resource_routes,
)
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from uvicorn import Config, Server

LIFETIME_SECONDS = 2
READ, WRITE = "mcp:read", "mcp:write"


class Provider(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """Keeps everything in memory. A page asks for a name and a password, and takes any."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.logins: dict[str, tuple[str, AuthorizationParams]] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.refresh_tokens: dict[str, RefreshToken] = {}
        self.access_tokens: dict[str, AccessToken] = {}

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        self.clients[client_info.client_id] = client_info

    async def authorize(
        self, client: OAuthClientInformationFull, params: AuthorizationParams
    ) -> str:
        login = secrets.token_hex(20)
        self.logins[login] = (client.client_id, params)
        return f"{self.origin}/login?login={login}"

    async def login(self, request: Request) -> Response:
        if request.method == "GET":
            login = escape(request.query_params["login"])
            return HTMLResponse(
                f"""<form action="/login" method="post">
                <input type="hidden" name="login" value="{login}">
                <input type="text" name="username">
                <input type="password" name="password">
                <button type="submit">Sign in</button>
                </form>"""
            )
        form = await request.form()
        if not form.get("username") or not form.get("password"):
            return HTMLResponse("who are you?", status_code=400)
        client_id, params = self.logins.pop(str(form["login"]))
        code = AuthorizationCode(
            code=secrets.token_hex(20),
            scopes=params.scopes or [],
            expires_at=time.time() + 60,
            client_id=client_id,
            **params.model_dump(exclude={"state", "scopes"}),
        )
        self.codes[code.code] = code
        back = construct_redirect_uri(str(params.redirect_uri), code=code.code, state=params.state)
        return RedirectResponse(back, status_code=302)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        del self.codes[authorization_code.code]
        return self.issue(authorization_code, authorization_code.scopes)

    async def load_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: str
    ) -> RefreshToken | None:
        return self.refresh_tokens.get(refresh_token)

    async def exchange_refresh_token(
        self,
        client: OAuthClientInformationFull,
        refresh_token: RefreshToken,
        scopes: list[str],
    ) -> OAuthToken:
        del self.refresh_tokens[refresh_token.token]
        return self.issue(refresh_token, scopes)

    def issue(self, grant: AuthorizationCode | RefreshToken, scopes: list[str]) -> OAuthToken:
        shared = {"client_id": grant.client_id, "scopes": scopes, "resource": grant.resource}
        access = AccessToken(
            token=secrets.token_hex(20), expires_at=int(time.time()) + LIFETIME_SECONDS, **shared
        )
        refresh = RefreshToken(token=secrets.token_hex(20), **shared)
        self.access_tokens[access.token] = access
        self.refresh_tokens[refresh.token] = refresh
        return OAuthToken(
            access_token=access.token,
            expires_in=LIFETIME_SECONDS,
            refresh_token=refresh.token,
            scope=" ".join(scopes),
        )

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self.access_tokens.get(token)

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        raise NotImplementedError


def authorization_server(provider: Provider, issuer: AnyHttpUrl) -> Starlette:
    settings = AuthSettings(
        issuer_url=issuer,
        client_registration_options=ClientRegistrationOptions(
            enabled=True, valid_scopes=[READ, WRITE], default_scopes=[READ, WRITE]
        ),
        resource_server_url=None,
    )
    routes = create_auth_routes(
        provider=provider,
        issuer_url=settings.issuer_url,
        client_registration_options=settings.client_registration_options,
    )
    routes.append(Route("/login", endpoint=provider.login, methods=["GET", "POST"]))
    return Starlette(routes=routes)


def resource_server(provider: Provider, issuer: AnyHttpUrl, mcp_url: AnyHttpUrl) -> Starlette:
    metadata_url = build_resource_metadata_url(mcp_url)

    async def tools(request: Request) -> Response:
        call = await request.json()
        token = get_access_token()
        if call["method"] == "tools/call" and (token is None or WRITE not in token.scopes):
            challenge = f'Bearer error="insufficient_scope", scope="{WRITE}"'
            challenge += f', resource_metadata="{metadata_url}"'
            return JSONResponse({}, status_code=403, headers={"WWW-Authenticate": challenge})
        return JSONResponse({"jsonrpc": "2.0", "id": call["id"], "result": {}})

    inner = Route("/mcp", endpoint=tools, methods=["POST"])
    guarded = RequireAuthMiddleware(inner.app, [READ], metadata_url)
    routes = create_protected_resource_routes(
        resource_url=mcp_url, authorization_servers=[issuer], scopes_supported=[READ]
    )
    backend = BearerAuthBackend(ProviderTokenVerifier(provider), resource_server_url=mcp_url)
    return Starlette(
        routes=[Route("/mcp", endpoint=guarded), *routes],
        middleware=[
            Middleware(AuthenticationMiddleware, backend=backend),
            Middleware(AuthContextMiddleware),
        ],
    )


async def serve(apps: Sequence[tuple[Starlette, socket.socket]]) -> None:
    # Not on the standard output, where the address stands.
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    servers = [(Server(Config(app, log_config=None)), listener) for app, listener in apps]
    await asyncio.gather(*(server.serve(sockets=[listener]) for server, listener in servers))


def main() -> None:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    origins = [f"http://localhost:{listener.getsockname()[1]}" for listener in listeners]
    issuer, mcp_url = AnyHttpUrl(origins[0]), AnyHttpUrl(f"{origins[1]}/mcp")
    provider = Provider(origins[0])
    apps = [authorization_server(provider, issuer), resource_server(provider, issuer, mcp_url)]
    print(f"MCP {mcp_url}", flush=True)
    asyncio.run(serve(list(zip(apps, listeners, strict=True))))


if __name__ == "__main__":
    main()
