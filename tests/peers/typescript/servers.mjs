// The SDK's own handlers, asked over a loopback port. Identifiers, secrets and times come from the
// provider and are always the same, so that the answers are too.

import { once } from "node:events";

import express from "express";

import { REGISTRATIONS } from "./samples.mjs";

const ISSUED_AT = 1700000000;
const VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

const CLIENTS = {
  public: { client_id: "public", redirect_uris: ["http://127.0.0.1:3118/callback"] },
  confidential: {
    client_id: "confidential",
    client_secret: "not-a-secret",
    redirect_uris: ["https://app.example/callback"],
  },
};

const TOKENS = {
  minimal: { access_token: "access-1", token_type: "bearer" },
  full: {
    access_token: "access-1",
    token_type: "Bearer",
    expires_in: 3600,
    refresh_token: "refresh-1",
    scope: "files:read files:write",
  },
  // The handler hands on what the provider returns, without its schema.
  unknown: { access_token: "access-1", token_type: "Bearer", id_token: "e30.e30.", x_null: null },
};

/** A provider that can do everything; its codes say how the exchange ends. */
function provider(auth) {
  const exchange = async (name) => {
    switch (name) {
      case "error-uri":
        throw new auth.InvalidGrantError("the code is used", "https://as.example/errors/used");
      case "target":
        throw new auth.InvalidTargetError("the resource is another one");
      case "scope":
        throw new auth.InvalidScopeError("");
      case "later":
        throw new auth.TemporarilyUnavailableError("come back \u{2615} later");
      case "crash":
        throw new TypeError("not for others");
      default:
        if (!(name in TOKENS)) throw new auth.InvalidGrantError("the code is unknown");
        return TOKENS[name];
    }
  };
  return {
    clientsStore: {
      getClient: (id) => CLIENTS[id],
      registerClient: (given) => ({
        ...given,
        ...(given.client_secret && { client_secret: "not-a-secret" }),
        ...(given.client_secret_expires_at && { client_secret_expires_at: ISSUED_AT + 2592000 }),
        client_id: "client-1",
        client_id_issued_at: ISSUED_AT,
      }),
    },
    authorize: async () => {},
    challengeForAuthorizationCode: async () => CHALLENGE,
    exchangeAuthorizationCode: (_client, code) => exchange(code),
    exchangeRefreshToken: (_client, token) => exchange(token),
    verifyAccessToken: async () => ({ token: "access-1", clientId: "public", scopes: [] }),
    revokeToken: async () => {},
  };
}

/** A provider that offers what the interface demands and no more. */
function smallProvider(auth) {
  const { revokeToken: _, clientsStore, ...rest } = provider(auth);
  return { ...rest, clientsStore: { getClient: clientsStore.getClient } };
}

/** Calls `ask(path, init)` against these routers and answers the body of each response as text. */
async function serve(mount, ask) {
  const app = express();
  mount(app);
  const server = app.listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${server.address().port}`;
  try {
    await ask(async (path, status, init) => {
      const response = await fetch(origin + path, init);
      const body = await response.text();
      if (response.status !== status) {
        throw new Error(`${path} answered ${response.status} instead of ${status}: ${body}`);
      }
      return body;
    });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const json = (body) => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});
const form = (body) => ({ method: "POST", body: new URLSearchParams(body) });

const unlimited = { rateLimit: false };
const SERVER = "/.well-known/oauth-authorization-server";
const RESOURCE = "/.well-known/oauth-protected-resource";

/** Every answer of the handlers of one release: `emit(kind, name, text)`. */
export async function answers(auth, metadata, emit) {
  const full = {
    provider: provider(auth),
    issuerUrl: new URL("https://as.example/tenant"),
    serviceDocumentationUrl: new URL("https://as.example/docs"),
    scopesSupported: ["files:read", "files:write"],
    resourceServerUrl: new URL("https://rs.example/mcp"),
    resourceName: "Files \u{1F4C1}",
    tokenOptions: unlimited,
    revocationOptions: unlimited,
    clientRegistrationOptions: unlimited,
  };
  await serve(
    (app) => app.use(auth.mcpAuthRouter(full)),
    async (ask) => {
      emit("authorization-server-metadata", "router-full", await ask(SERVER, 200));
      emit("protected-resource-metadata", "router-full", await ask(`${RESOURCE}/mcp`, 200));
      for (const [name, client] of Object.entries(REGISTRATIONS)) {
        emit("registration-answer", `handler-${name}`, await ask("/register", 201, json(client)));
      }
      await tokens(ask, emit);
    },
  );

  const small = { provider: smallProvider(auth), issuerUrl: new URL("https://as.example") };
  await serve(
    (app) => app.use(auth.mcpAuthRouter(small)),
    async (ask) => {
      emit("authorization-server-metadata", "router-minimal", await ask(SERVER, 200));
      emit("protected-resource-metadata", "router-minimal", await ask(RESOURCE, 200));
    },
  );

  const local = { ...full, issuerUrl: new URL("http://localhost:3000") };
  await serve(
    (app) => app.use(auth.mcpAuthRouter({ ...local, resourceServerUrl: undefined })),
    async (ask) => {
      emit("authorization-server-metadata", "router-loopback", await ask(SERVER, 200));
      emit("protected-resource-metadata", "router-loopback", await ask(RESOURCE, 200));
    },
  );

  const forever = {
    clientsStore: full.provider.clientsStore,
    clientSecretExpirySeconds: 0,
    ...unlimited,
  };
  await serve(
    (app) => {
      app.use("/metadata", auth.metadataHandler(metadata));
      app.use("/register", auth.clientRegistrationHandler(forever));
    },
    async (ask) => {
      emit("authorization-server-metadata", "handler-unknown", await ask("/metadata", 200));
      const answer = await ask("/register", 201, json(REGISTRATIONS.minimal));
      emit("registration-answer", "handler-forever", answer);
    },
  );
}

async function tokens(ask, emit) {
  const publicCode = {
    client_id: "public",
    grant_type: "authorization_code",
    code_verifier: VERIFIER,
  };
  const secretRefresh = {
    client_id: "confidential",
    client_secret: "not-a-secret",
    grant_type: "refresh_token",
  };
  for (const name of Object.keys(TOKENS)) {
    const code = form({ ...publicCode, code: name });
    emit("token-response", `handler-code-${name}`, await ask("/token", 200, code));
  }
  const refresh = form({ ...secretRefresh, refresh_token: "full" });
  emit("token-response", "handler-refresh", await ask("/token", 200, refresh));

  for (const [name, status, body] of [
    ["no-client", 400, { grant_type: "authorization_code" }],
    ["unknown-client", 400, { ...publicCode, client_id: "nobody" }],
    ["no-secret", 400, { ...secretRefresh, client_secret: "" }],
    ["wrong-secret", 400, { ...secretRefresh, client_secret: "wrong" }],
    ["no-grant", 400, { client_id: "public" }],
    ["no-code", 400, publicCode],
    ["unknown-code", 400, { ...publicCode, code: "nowhere" }],
    ["wrong-verifier", 400, { ...publicCode, code: "full", code_verifier: "x".repeat(43) }],
    ["grant", 400, { client_id: "public", grant_type: "client_credentials" }],
    ["error-uri", 400, { ...publicCode, code: "error-uri" }],
    ["target", 400, { ...publicCode, code: "target" }],
    ["empty-description", 400, { ...secretRefresh, refresh_token: "scope" }],
    ["later", 400, { ...publicCode, code: "later" }],
    ["crash", 500, { ...publicCode, code: "crash" }],
  ]) {
    emit("token-error", `handler-${name}`, await ask("/token", status, form(body)));
  }
  const revocation = form({ client_id: "nobody", token: "access-1" });
  emit("token-error", "handler-revoke", await ask("/revoke", 400, revocation));
}

/** The metadata router of the 2.x adapter for a server that is a resource server only. */
export async function adapterAnswers(adapter, metadata, emit) {
  const full = {
    oauthMetadata: metadata,
    resourceServerUrl: new URL("https://rs.example/mcp"),
    serviceDocumentationUrl: new URL("https://rs.example/docs"),
    scopesSupported: ["files:read", "files:write"],
    resourceName: "Files \u{1F4C1}",
  };
  const small = { oauthMetadata: metadata, resourceServerUrl: new URL("https://rs.example") };
  for (const [name, options, path] of [
    ["full", full, `${RESOURCE}/mcp`],
    ["minimal", small, RESOURCE],
  ]) {
    await serve(
      (app) => app.use(adapter.mcpAuthMetadataRouter(options)),
      async (ask) => {
        emit("protected-resource-metadata", `express-${name}`, await ask(path, 200));
        if (name === "full") {
          emit("authorization-server-metadata", "express-unknown", await ask(SERVER, 200));
        }
      },
    );
  }
}
