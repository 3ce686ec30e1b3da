// What a host of either line of the TypeScript SDK brings: a place for credentials, and a browser, here a scripted one.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

const FIELD = /<input type="hidden" name="([^"]*)" value="([^"]*)">/g;

/** Opens our consent page, presses "Allow", and answers with where the browser is sent. */
async function allow(url) {
  const page = await fetch(url, { redirect: "manual" });
  const html = await page.text();
  assert.equal(page.status, 200, html);
  const form = new URLSearchParams([["decision", "allow"]]);
  for (const [, name, value] of html.matchAll(FIELD)) form.append(name, value);
  const action = new URL(/<form method="post" action="([^"]*)">/.exec(html)[1], url);
  const cookie = page.headers.getSetCookie().map((line) => line.split(";")[0]).join("; ");
  const headers = { cookie, origin: action.origin };
  const answer = await fetch(action, { method: "POST", headers, body: form, redirect: "manual" });
  assert.equal(answer.status, 303, await answer.text());
  return new URL(answer.headers.get("location"));
}

/** The SDK's `OAuthClientProvider`, in memory. It keeps what the SDK hands over, and does not look into it. */
export class Host {
  redirectUrl = "http://127.0.0.1:3118/callback";
  clientMetadata = {
    client_name: "Interop",
    redirect_uris: [this.redirectUrl],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  };
  visits = 0;
  saves = 0;
  #kept = {};
  #state;
  #callback;

  state() {
    return (this.#state = randomUUID());
  }
  clientInformation() {
    return this.#kept.client;
  }
  saveClientInformation(client) {
    this.#kept.client = client;
  }
  tokens() {
    return this.#kept.tokens;
  }
  saveTokens(tokens) {
    this.saves += 1;
    this.#kept.tokens = tokens;
  }
  saveCodeVerifier(verifier) {
    this.#kept.verifier = verifier;
  }
  codeVerifier() {
    return this.#kept.verifier;
  }
  saveDiscoveryState(state) {
    this.#kept.discovery = state;
  }
  discoveryState() {
    return this.#kept.discovery;
  }
  dropRefreshToken() {
    delete this.#kept.tokens.refresh_token;
  }
  async redirectToAuthorization(url) {
    this.visits += 1;
    this.#callback = await allow(url);
  }

  /** What the browser came back with, once it did: the `state` is the host's to compare. */
  callback() {
    const { origin, pathname, searchParams } = this.#callback;
    assert.equal(origin + pathname, this.redirectUrl);
    assert.equal(searchParams.get("state"), this.#state);
    return searchParams;
  }
}

/** Waits until the server no longer takes the token that is kept. */
export async function die(url, host) {
  const authorization = `Bearer ${host.tokens().access_token}`;
  const headers = {
    authorization,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} });
  while ((await fetch(url, { method: "POST", headers, body })).status !== 401) {
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

export const scopes = (host) => host.tokens().scope?.split(" ").sort().join(" ");

export const text = (result) => result.content.map((part) => part.text).join("");
