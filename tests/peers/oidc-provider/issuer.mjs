// An OpenID provider as the authorization server of a resource server of ours: panva's oidc-provider, with its own
// development pages for login and consent. `issuer.mjs jwt` gives tokens that are verified with its keys,
// `issuer.mjs opaque` such that it is asked about. Prints `ISSUER <url>` when it listens.
//
// | what the resource server meets here                                                   | whose    |
// |---------------------------------------------------------------------------------------|----------|
// | `typ` is `at+jwt`, RS256, `aud` is the resource and no list, `scope` without OpenID's  | provider |
// | keys without `alg`                                                                    | provider |
// | `iss`, `aud`, `client_id`, `exp` and `sub` in answers about tokens                     | provider |
// | a scope that a client registers is the most it ever gets, and one of OpenID's: so the  | provider |
// | clients that register the scope of their first challenge lose it here                 |          |
// | a token is for the resource that was asked for in both requests, and for no other      | provider |

import Provider, { errors } from "oidc-provider";

import { explain, listen } from "./listen.mjs";

const [, , accessTokenFormat] = process.argv;
const SCOPES = ["files:read", "files:write"];
const RESOURCE = /^http:\/\/127\.0\.0\.1:\d+\/mcp$/;

const [server, issuer] = await listen();
const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "resource-server",
      client_secret: process.env.PROTECTED_SERVER_SECRET ?? "not-a-secret",
      redirect_uris: [],
      response_types: [],
      grant_types: [],
    },
  ],
  // Runs for each client that registers, whether it has such a member or not.
  extraClientMetadata: {
    properties: ["software_id"],
    validator: (_context, _name, _value, client) => delete client.scope,
  },
  features: {
    introspection: { enabled: true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_context, indicator) => {
        if (!RESOURCE.test(indicator)) throw new errors.InvalidTarget();
        return { scope: SCOPES.join(" "), accessTokenFormat };
      },
    },
  },
});
explain(provider);
server.on("request", provider.callback());

console.log(`ISSUER ${issuer}`);
