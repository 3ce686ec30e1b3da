// An OpenID provider as a peer of our client: panva's oidc-provider with its own development pages for login
// and consent, and a resource that looks its tokens up in it. Prints `MCP <url>` when both listen.
//
// | what the client meets here                                                            | whose    |
// |---------------------------------------------------------------------------------------|----------|
// | one document at both well-known URLs; it lists no scope of the resource               | provider |
// | a refresh token only for `offline_access`, and that only with `prompt=consent`        | provider |
// | `offline_access` is in no token response's `scope`                                    | provider |
// | `iss` on every redirect, and advertised                                               | provider |
// | login and consent on two pages, with cookies that belong to one path each             | provider |
// | a native client's user is asked each time, even for what was granted before           | provider |
// | without `resource` at the token endpoint, the token is for userinfo and not for us    | provider |
// | `expires_in`, and refresh tokens that rotate                                          | provider |
// | tokens that live 15 seconds longer than they say, were `clockTolerance` not 0 here    | provider |
// | a 401 without an error code, a 403 that names the missing scope only                  | resource |

import Provider, { errors } from "oidc-provider";

import { explain, listen } from "./listen.mjs";

const LIFETIME_SECONDS = 2;
const NEEDS = { "tools/list": "mcp:read", "tools/call": "mcp:write" };

const [authorization, issuer] = await listen();
const [mcp, mcpOrigin] = await listen();
const mcpUrl = `${mcpOrigin}/mcp`;

const provider = new Provider(issuer, {
  clockTolerance: 0,
  features: {
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_context, indicator) => {
        if (indicator !== mcpUrl) throw new errors.InvalidTarget();
        return { scope: Object.values(NEEDS).join(" "), accessTokenTTL: LIFETIME_SECONDS };
      },
    },
  },
});
explain(provider);
authorization.on("request", provider.callback());

const METADATA = "/.well-known/oauth-protected-resource/mcp";
const challenge = `Bearer resource_metadata="${mcpOrigin}${METADATA}"`;

mcp.on("request", async (request, response) => {
  const answer = (status, body, headers = {}) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  };
  if (request.url === METADATA) {
    const scopes_supported = Object.values(NEEDS);
    answer(200, { resource: mcpUrl, authorization_servers: [issuer], scopes_supported });
    return;
  }
  if (request.method !== "POST" || request.url !== "/mcp") {
    answer(404, {});
    return;
  }
  const { id, method } = JSON.parse((await request.toArray()).join(""));
  const needed = NEEDS[method];
  const shown = /^Bearer (\S+)$/i.exec(request.headers.authorization)?.[1];
  const token = shown && (await provider.AccessToken.find(shown));
  if (token?.aud !== mcpUrl) {
    answer(401, {}, { "www-authenticate": `${challenge}, scope="${needed}"` });
  } else if (!token.scopes.has(needed)) {
    const error = `${challenge}, error="insufficient_scope", scope="${needed}"`;
    answer(403, {}, { "www-authenticate": error });
  } else {
    answer(200, { jsonrpc: "2.0", id, result: {} });
  }
});

console.log(`MCP ${mcpUrl}`);
