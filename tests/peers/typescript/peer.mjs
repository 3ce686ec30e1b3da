// The TypeScript SDK as a peer of our client: the authorization server of its 1.x line, which 2.x ships as
// `server-legacy`, and a resource behind that package's `requireBearerAuth`. Prints `MCP <url>` when both
// listen. What `provider` does is ours: codes and tokens in memory, and nobody is asked.
//
// | what the client meets here                                                            | whose    |
// |---------------------------------------------------------------------------------------|----------|
// | issuer with a trailing slash, in both documents and in `iss`                          | SDK      |
// | `iss` on every redirect, and advertised                                               | SDK      |
// | clients are public or send a secret in the body; no Basic                             | SDK      |
// | `error="invalid_token"` although no token was sent                                    | SDK      |
// | a 403 names what the operation needs, not what the token has                          | SDK      |
// | an expired token without the scope is a 403, not a 401: scopes are checked first      | SDK      |
// | no `expires_in`: only a 401 tells that a token is dead                                | provider |
// | refresh tokens rotate, and a used one is `invalid_grant`                              | provider |

import { randomUUID } from "node:crypto";
import { once } from "node:events";

import {
  InvalidGrantError,
  InvalidTargetError,
  InvalidTokenError,
  createOAuthMetadata,
  getOAuthProtectedResourceMetadataUrl,
  mcpAuthMetadataRouter,
  mcpAuthRouter,
  requireBearerAuth,
} from "@modelcontextprotocol/server-legacy/auth";
import express from "express";

const LIFETIME_SECONDS = 2;
const NEEDS = { "tools/list": ["mcp:read"], "tools/call": ["mcp:write"] };

/** An application that listens already, and its origin; what it answers is added by the caller. */
async function listen() {
  const app = express();
  app.use((request, response, next) => {
    response.on("finish", () => {
      console.error(`${request.method} ${request.originalUrl.split("?")[0]} ${response.statusCode}`);
    });
    next();
  });
  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  return [app, new URL(`http://127.0.0.1:${server.address().port}`)];
}

const [authorization, issuerUrl] = await listen();
const [mcp, mcpOrigin] = await listen();
const mcpUrl = new URL("/mcp", mcpOrigin);

const clients = new Map();
const codes = new Map();
const refreshTokens = new Map();
const accessTokens = new Map();

/** What stands under this key if it is the client's own; it is gone from the map afterwards. */
function take(map, key, client) {
  const found = map.get(key);
  if (found?.clientId !== client.client_id) throw new InvalidGrantError("unknown or used");
  map.delete(key);
  return found;
}

function issue(grant, resource) {
  if (resource?.href !== grant.resource?.href) throw new InvalidTargetError("another resource");
  const [token, refreshToken] = [randomUUID(), randomUUID()];
  accessTokens.set(token, { ...grant, token, expiresAt: Date.now() / 1000 + LIFETIME_SECONDS });
  refreshTokens.set(refreshToken, grant);
  return {
    access_token: token,
    token_type: "bearer",
    refresh_token: refreshToken,
    scope: grant.scopes.join(" "),
  };
}

const provider = {
  clientsStore: {
    getClient: (id) => clients.get(id),
    registerClient: (client) => {
      clients.set(client.client_id, client);
      return client;
    },
  },
  authorize: async (client, params, response) => {
    const code = randomUUID();
    const { scopes = [], resource, codeChallenge, redirectUri, state } = params;
    codes.set(code, { clientId: client.client_id, scopes, resource, codeChallenge, redirectUri });
    const back = new URL(redirectUri);
    back.searchParams.set("code", code);
    if (state !== undefined) back.searchParams.set("state", state);
    response.redirect(back.href);
  },
  challengeForAuthorizationCode: async (_client, code) => codes.get(code)?.codeChallenge ?? "",
  exchangeAuthorizationCode: async (client, code, _verifier, redirectUri, resource) => {
    const { codeChallenge: _, redirectUri: own, ...grant } = take(codes, code, client);
    if (redirectUri !== own) throw new InvalidGrantError("another redirect URI");
    return issue(grant, resource);
  },
  exchangeRefreshToken: async (client, refreshToken, _scopes, resource) =>
    issue(take(refreshTokens, refreshToken, client), resource),
  verifyAccessToken: async (token) => {
    const found = accessTokens.get(token);
    if (!found) throw new InvalidTokenError("unknown token");
    return found;
  },
};

const scopesSupported = ["mcp:read", "mcp:write"];
authorization.use(mcpAuthRouter({ provider, issuerUrl, scopesSupported }));

const oauthMetadata = createOAuthMetadata({ provider, issuerUrl, scopesSupported });
mcp.use(mcpAuthMetadataRouter({ oauthMetadata, resourceServerUrl: mcpUrl, scopesSupported }));
const guard = (requiredScopes) =>
  requireBearerAuth({
    verifier: provider,
    requiredScopes,
    resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(mcpUrl),
    expectedResource: mcpUrl,
  });
mcp.post(
  "/mcp",
  express.json(),
  (request, response, next) => guard(NEEDS[request.body.method] ?? [])(request, response, next),
  (request, response) => response.json({ jsonrpc: "2.0", id: request.body.id, result: {} }),
);

console.log(`MCP ${mcpUrl.href}`);
